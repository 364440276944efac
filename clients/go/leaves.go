package flaskcache

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

type leaf = func(value reflect.Value, at *place, depth int) (tree, error)

// leaves are the types that are written in a form of their own.
var leaves = map[reflect.Type]leaf{}

func init() { // some of them use the table
	leafOf(growBytes)
	leafOf(func(value ByteArray, _ *place, _ int) (tree, error) { return &tag{"py/bytearray", raw(value)}, nil })
	leafOf(func(value json.Number, at *place, _ int) (tree, error) { return number(value.String(), at) })
	leafOf(func(value *big.Int, _ *place, _ int) (tree, error) { return whatFits(value), nil })
	leafOf(func(value big.Int, _ *place, _ int) (tree, error) { return whatFits(&value), nil })
	leafOf(func(value time.Time, at *place, _ int) (tree, error) { return moment(value, true, at) })
	leafOf(func(value Naive, at *place, _ int) (tree, error) { return moment(value.Time, false, at) })
	leafOf(growZoned)
	leafOf(func(value time.Duration, _ *place, _ int) (tree, error) {
		return &tag{"py/timedelta", timedelta(value)}, nil
	})
	leafOf(textLeaf[Decimal]("py/decimal"))
	leafOf(textLeaf[UUID]("py/uuid"))
	leafOf(textLeaf[Markup]("py/markup"))
	leafOf(textLeaf[Date]("py/date"))
	leafOf(textLeaf[TimeOfDay]("py/time"))
	leafOf(func(value Dict, at *place, depth int) (tree, error) { return growPairs("py/dict", value, at, depth) })
	leafOf(func(value OrderedDict, at *place, depth int) (tree, error) {
		return growPairs("py/ordereddict", value, at, depth)
	})
	leafOf(growTagged)
	leafOf(growResponse)
	onlyOfMemo[Default]()
	onlyOfMemo[Keyword]()
	onlyOfMemo[Self]()
	onlyOfMemo[Class]()
	onlyOfMemo[ignored]()
}

// onlyOfMemo refuses a type that describes an argument of a function and is no value.
func onlyOfMemo[T any]() {
	leafOf(func(_ T, at *place, _ int) (tree, error) {
		return nil, invalid(at.String(), "a %s is an argument of Memo, and no value", reflect.TypeFor[T]())
	})
}

func leafOf[T any](write func(value T, at *place, depth int) (tree, error)) {
	leaves[reflect.TypeFor[T]()] = func(value reflect.Value, at *place, depth int) (tree, error) {
		return write(value.Interface().(T), at, depth)
	}
}

func textLeaf[T ~string](name string) func(T, *place, int) (tree, error) {
	return func(value T, at *place, _ int) (tree, error) {
		content, err := text(string(value), at)
		return &tag{name, content}, err
	}
}

func growBytes(value []byte, _ *place, _ int) (tree, error) {
	if value == nil {
		return nil, nil
	}
	return value, nil
}

func whatFits(number *big.Int) tree {
	switch {
	case number == nil:
		return nil
	case number.IsInt64():
		return number.Int64()
	}
	return number
}

// moment writes a datetime in ISO 8601, cut to microseconds as Python has them.
func moment(at time.Time, isAware bool, where *place) (tree, error) {
	if at.Year() < 1 || at.Year() > 9999 {
		return nil, invalid(where.String(), "Python has no datetime in the year %d", at.Year())
	}
	layout := "2006-01-02T15:04:05.000000"
	if at.Nanosecond()/1000 == 0 {
		layout = "2006-01-02T15:04:05"
	}
	if _, offset := at.Zone(); isAware && offset%60 != 0 {
		layout += "-07:00:00"
	} else if isAware {
		layout += "-07:00"
	}
	return &tag{"py/datetime", at.Format(layout)}, nil
}

func growZoned(at Zoned, where *place, _ int) (tree, error) {
	written, err := moment(at.Time, true, where)
	if err != nil {
		return nil, err
	}
	zone, err := text(at.Zone, where)
	return &tag{"py/zoned", &object{[]string{"at", "zone"}, []tree{written.(*tag).content, zone}}}, err
}

const perDay = 24 * time.Hour

// timedelta is days, seconds and microseconds, of which only the days may be negative.
func timedelta(length time.Duration) []any {
	days := length / perDay
	rest := length % perDay
	if rest < 0 {
		days, rest = days-1, rest+perDay
	}
	return []any{int64(days), int64(rest / time.Second), int64(rest % time.Second / time.Microsecond)}
}

// growTagged writes a tag by its name. The proxy refuses tags that cannot be written.
func growTagged(value Tagged, at *place, depth int) (tree, error) {
	if !strings.HasPrefix(value.Tag, tagPrefix) {
		return nil, invalid(at.String(), "the tag %q does not begin with %s", value.Tag, tagPrefix)
	}
	if _, err := text(value.Tag, at); err != nil {
		return nil, err
	}
	content, err := grow(reflect.ValueOf(value.Value), at.field(value.Tag), depth)
	return &tag{value.Tag, content}, err
}

func growResponse(response Response, at *place, _ int) (tree, error) {
	headers := make([]any, len(response.Headers))
	for index, header := range response.Headers {
		name, err := text(header[0], at.field("headers").item(index))
		if err != nil {
			return nil, err
		}
		value, err := text(header[1], at.field("headers").item(index))
		if err != nil {
			return nil, err
		}
		headers[index] = []any{name, value}
	}
	var body tree = string(response.Body)
	if !utf8.Valid(response.Body) {
		body = response.Body
	}
	content := &object{[]string{"status", "headers", "body"}, []tree{int64(response.Status), headers, body}}
	return &tag{"py/response", content}, nil
}
