package flaskcache

import (
	"math/big"
	"reflect"
	"strings"
	"time"
)

// pythonNames are the types of Python that the tags name.
var pythonNames = map[string]string{
	"py/int": "int", "py/float": "float", "py/bytes": "bytes", "py/bytearray": "bytearray", "py/tuple": "tuple",
	"py/set": "set", "py/frozenset": "frozenset", "py/dict": "dict with keys that are not text",
	"py/ordereddict": "collections.OrderedDict", "py/counter": "collections.Counter",
	"py/defaultdict": "collections.defaultdict", "py/deque": "collections.deque", "py/decimal": "decimal.Decimal",
	"py/uuid": "uuid.UUID", "py/markup": "markupsafe.Markup", "py/date": "datetime.date", "py/time": "datetime.time",
	"py/zoned": "datetime.datetime", "py/timedelta": "datetime.timedelta", "py/complex": "complex",
	"py/response": "flask.Response", "py/cycle": "reference to itself", "py/ndarray": "numpy.ndarray",
	"py/timestamp": "pandas.Timestamp", "py/series": "pandas.Series", "py/dataframe": "pandas.DataFrame",
}

// pythonName is the type of a value in Python.
func pythonName(value tree) string {
	switch value := value.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []byte:
		return "bytes"
	case []any:
		return "list"
	case *object:
		return "dict"
	case *tag:
		return taggedName(value)
	}
	return "value"
}

func taggedName(value *tag) string {
	content, _ := value.content.(*object)
	switch value.name {
	case "py/datetime":
		if read, _ := readDatetime(value, root); read != nil && reflect.TypeOf(read) == reflect.TypeFor[Naive]() {
			return "naive datetime.datetime"
		}
		return "datetime.datetime"
	case "py/numpy":
		if content != nil {
			dtype, _ := content.get("dtype").(string)
			return "numpy." + shown(dtype)
		}
	case "py/instance":
		if content != nil {
			class, _ := content.get("class").(string)
			return shown(class)
		}
	case "py/global":
		name, _ := value.content.(string)
		return "class or function " + shown(name)
	}
	if name, isKnown := pythonNames[value.name]; isKnown {
		return name
	}
	return shown(value.name)
}

// shown cuts a name from the cache, and drops what is not printable ASCII.
func shown(name string) string {
	name = strings.Map(func(char rune) rune {
		if char < 0x20 || char > 0x7e {
			return '?'
		}
		return char
	}, name[:min(len(name), longestName)])
	return name
}

// readers are the types of this package that read a tag, for hints.
var readers = map[string]string{
	"py/bytearray": "ByteArray", "py/tuple": "TupleOf", "py/set": "SetOf", "py/frozenset": "FrozenSetOf",
	"py/dict": "Dict", "py/ordereddict": "OrderedDict", "py/decimal": "Decimal", "py/uuid": "UUID",
	"py/markup": "Markup", "py/date": "Date", "py/time": "TimeOfDay", "py/zoned": "Zoned", "py/response": "Response",
	"py/instance": "InstanceOf", "py/global": "Global", "py/cycle": "Cycle", "py/numpy": "Scalar",
	"py/ndarray": "Array", "py/timestamp": "Timestamp", "py/series": "Series", "py/dataframe": "Frame",
}

// plainReaders are other types of Go that read a tag.
var plainReaders = map[string]string{
	"py/bytes": "[]byte reads it", "py/timedelta": "time.Duration reads it", "py/complex": "complex128 reads it",
}

func hintFor(value tree) string {
	switch value := value.(type) {
	case []byte:
		return plainReaders["py/bytes"]
	case *tag:
		if value.name == "py/datetime" {
			return datetimeHint(value)
		}
		if name, isKnown := readers[value.name]; isKnown {
			return "flaskcache." + name + " reads it"
		}
		if _, isKnown := pythonNames[value.name]; !isKnown || tags[value.name] == nil {
			return "flaskcache.Tagged reads it"
		}
		return plainReaders[value.name]
	}
	return ""
}

func datetimeHint(value *tag) string {
	read, _ := readDatetime(value, root)
	switch read.(type) {
	case time.Time:
		return "time.Time reads it"
	case Naive:
		return "it has no zone: flaskcache.Naive reads it"
	}
	return "flaskcache.Tagged reads it"
}
