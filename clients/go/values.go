package flaskcache

import (
	"regexp"
	"time"
)

// The types of Python that Go has no type of its own for. Both directions use them: in any, each value of Python has one.
type (
	// TupleOf is a tuple.
	TupleOf[T any] []T
	// SetOf is a set. Its order is arbitrary.
	SetOf[T any] []T
	// FrozenSetOf is a frozenset.
	FrozenSetOf[T any] []T
	// Tuple is a tuple of any values.
	Tuple = TupleOf[any]
	// Set is a set of any values.
	Set = SetOf[any]
	// FrozenSet is a frozenset of any values.
	FrozenSet = FrozenSetOf[any]

	// A Pair is a key of a dict and its value.
	Pair struct{ Key, Value any }
	// Dict is a dict whose keys are not all text.
	Dict []Pair
	// OrderedDict is a collections.OrderedDict.
	OrderedDict []Pair

	// Decimal is a decimal.Decimal as text, such as "1.10".
	Decimal string
	// UUID is a uuid.UUID in its usual form of 36 characters.
	UUID string
	// Markup is a markupsafe.Markup: HTML that templates do not escape. The proxy takes it only where a rule allows it.
	Markup string
	// Date is a datetime.date in ISO 8601, such as "2024-01-02".
	Date string
	// TimeOfDay is a datetime.time in ISO 8601, such as "03:04:05".
	TimeOfDay string
	// ByteArray is a bytearray.
	ByteArray []byte

	// Tagged is a value of any other tag, such as py/counter. Value is its content.
	Tagged struct {
		Tag   string
		Value any
	}
)

// Naive is a datetime without a zone. Its fields are those that the app sees; the location is not used.
type Naive struct{ time.Time }

// Zoned is a datetime in a named zone, such as Europe/Berlin. Time has the offset that holds then.
type Zoned struct {
	time.Time
	Zone string
}

// Response is a Flask response. The proxy takes it only where a rule allows it.
type Response struct {
	Status  int
	Headers [][2]string
	Body    []byte
}

// Reading only: the proxy never writes these.
type (
	// InstanceOf is an object of a class of the app. T is what its value is read as, often a struct.
	InstanceOf[T any] struct {
		Class string
		Value T
		Again bool // it stands inside itself, and is whole in another place
	}
	// Instance is an object of a class of the app, with any value.
	Instance = InstanceOf[any]
	// Global is a class or a function, by its name.
	Global string
	// Cycle stands for a container inside itself: the one so many levels up.
	Cycle int

	// Scalar is a number, a text or a time of numpy.
	Scalar struct {
		Dtype string
		Value any
	}
	// Array is an array of numpy. Values are in C order.
	Array struct {
		Dtype  string
		Shape  []int
		Values []any
	}
	// Timestamp is a pandas.Timestamp in ISO 8601, or "NaT". Zone is the name of its zone, or "".
	Timestamp struct{ At, Zone string }
	// Series is a pandas.Series.
	Series struct {
		Name   any
		Dtype  string
		Index  Index
		Values []any
	}
	// Frame is a pandas.DataFrame. [ColumnOf] reads a column of one type.
	Frame struct {
		Rows    int
		Index   Index
		Columns []Column
	}
	// Column is a column of a frame. A missing value is nil.
	Column struct {
		Name   any
		Dtype  string
		Values []any
	}
	// Index is an index of pandas. One of Range, Values and Levels is set.
	Index struct {
		Range  *[3]int // start, stop, step
		Name   any
		Dtype  string
		Values []any
		Names  []any // of a MultiIndex
		Levels []Index
		Codes  [][]int
	}
)

var uuidText = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func (value UUID) check() error {
	if !uuidText.MatchString(string(value)) {
		return wrong("%q is not a UUID of 36 lower-case characters", string(value))
	}
	return nil
}
