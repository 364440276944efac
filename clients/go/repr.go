package flaskcache

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// repr is what Python prints for the value of an argument, which the key of a memoized result hashes.
func repr(value any, depth int) (string, error) {
	if depth++; depth > deepest {
		return "", wrong("the value nests deeper than %d levels, or holds itself", deepest)
	}
	switch value := value.(type) {
	case nil:
		return "None", nil
	case bool:
		return reprBool(value), nil
	case string:
		return reprText(value), checkText(value)
	case []byte:
		return reprBytes(value), nil
	case ByteArray:
		return "bytearray(" + reprBytes(value) + ")", nil
	case json.Number:
		return reprNumber(value)
	case *big.Int:
		if value == nil {
			return "None", nil
		}
		return value.String(), nil
	case Decimal:
		shown, err := value.canonical()
		return "Decimal('" + shown + "')", err
	case UUID:
		return "UUID('" + string(value) + "')", value.check()
	case Markup:
		return "Markup(" + reprText(string(value)) + ")", checkText(string(value))
	case Date, TimeOfDay, Naive, time.Time, time.Duration:
		return reprMoment(value)
	}
	return reprContainer(value, depth)
}

// reprContainer prints the types that hold other values.
func reprContainer(value any, depth int) (string, error) {
	held := reflect.ValueOf(value)
	if pairs, isDict := value.(Dict); isDict {
		return reprDict(pairs, depth)
	}
	tag := sequenceTag(held)
	if tag == "" {
		return reprOther(held, depth)
	}
	if tag != "py/tuple" && held.Len() > 1 {
		return "", wrong("Python prints a set of several members in an order that varies: its key cannot be computed")
	}
	shown, err := reprEach(elements(held), depth)
	switch members := strings.Join(shown, ""); {
	case tag == "py/tuple":
		return reprTuple(shown), err
	case tag == "py/set" && members != "":
		return "{" + members + "}", err
	case tag == "py/frozenset" && members != "":
		return "frozenset({" + members + "})", err
	}
	return strings.TrimPrefix(tag, tagPrefix) + "()", err
}

var here = reflect.TypeFor[Tuple]().PkgPath()

// reprOther prints the kinds that have many types: numbers, text, lists and maps.
func reprOther(value reflect.Value, depth int) (string, error) {
	switch kind := value.Kind(); {
	case value.Type().PkgPath() == here || marshals(value): // such as a Default in a list, or a type for which Python has none
	case kind == reflect.Bool:
		return reprBool(value.Bool()), nil
	case kind == reflect.String:
		return reprText(value.String()), checkText(value.String())
	case value.CanInt():
		return strconv.FormatInt(value.Int(), 10), nil
	case value.CanUint():
		return strconv.FormatUint(value.Uint(), 10), nil
	case kind == reflect.Float32:
		return reprFloat(narrow(value.Float())), nil
	case kind == reflect.Float64:
		return reprFloat(value.Float()), nil
	case (kind == reflect.Slice || kind == reflect.Map) && value.IsNil():
		return "None", nil // as it is written
	case isBytes(value.Type()):
		return reprBytes(value.Bytes()), nil
	case kind == reflect.Slice || kind == reflect.Array:
		shown, err := reprEach(elements(value), depth)
		return "[" + strings.Join(shown, ", ") + "]", err
	case kind == reflect.Map && value.Len() > 1:
		return "", wrong("a %s has no order, and the key depends on it: use a Dict", value.Type())
	case kind == reflect.Map:
		var pairs Dict
		for _, key := range value.MapKeys() {
			pairs = append(pairs, Pair{key.Interface(), value.MapIndex(key).Interface()})
		}
		return reprDict(pairs, depth)
	}
	return "", wrong("only the app knows what Python prints for a %s: its key cannot be computed here", value.Type())
}

// marshals reports whether a type writes itself, so that its kind says nothing.
func marshals(value reflect.Value) bool {
	_, isJSON := held[json.Marshaler](value)
	_, isText := held[encoding.TextMarshaler](value)
	return isJSON || isText
}

func reprNumber(written json.Number) (string, error) {
	read, err := number(written.String(), root)
	if err != nil {
		return "", wrong("%.64q is no number", written.String())
	}
	return repr(read, 0)
}

func elements(value reflect.Value) []any {
	each := make([]any, value.Len())
	for at := range each {
		each[at] = value.Index(at).Interface()
	}
	return each
}

func reprEach(values []any, depth int) ([]string, error) {
	shown := make([]string, len(values))
	for at, value := range values {
		text, err := repr(value, depth)
		if err != nil {
			return nil, err
		}
		shown[at] = text
	}
	return shown, nil
}

func reprDict(pairs Dict, depth int) (string, error) {
	shown := make([]string, len(pairs))
	for at, pair := range pairs {
		both, err := reprEach([]any{pair.Key, pair.Value}, depth)
		if err != nil {
			return "", err
		}
		shown[at] = both[0] + ": " + both[1]
	}
	return "{" + strings.Join(shown, ", ") + "}", nil
}

func reprBool(value bool) string {
	if value {
		return "True"
	}
	return "False"
}

func reprTuple(shown []string) string {
	if len(shown) == 1 {
		return "(" + shown[0] + ",)"
	}
	return "(" + strings.Join(shown, ", ") + ")"
}

// reprFloat prints as float.__repr__ does: with an exponent below 1e-4 and from 1e16 on.
func reprFloat(value float64) string {
	switch size := math.Abs(value); {
	case math.IsNaN(value):
		return "nan"
	case math.IsInf(value, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(value, 'g', -1, 64)), "+")
	case size != 0 && (size < 1e-4 || size >= 1e16):
		return strconv.FormatFloat(value, 'e', -1, 64)
	}
	shown := strconv.FormatFloat(value, 'f', -1, 64)
	if !strings.Contains(shown, ".") {
		shown += ".0"
	}
	return shown
}

var shortEscapes = map[rune]string{'\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

func reprText(value string) string {
	quote := quoteOf(value)
	var shown strings.Builder
	shown.WriteRune(quote)
	for _, char := range value {
		switch {
		case char == quote:
			shown.WriteString(`\` + string(quote))
		case shortEscapes[char] != "":
			shown.WriteString(shortEscapes[char])
		case unicode.IsPrint(char):
			shown.WriteRune(char)
		case char <= 0xff:
			fmt.Fprintf(&shown, `\x%02x`, char)
		case char <= 0xffff:
			fmt.Fprintf(&shown, `\u%04x`, char)
		default:
			fmt.Fprintf(&shown, `\U%08x`, char)
		}
	}
	shown.WriteRune(quote)
	return shown.String()
}

func reprBytes(value []byte) string {
	quote := quoteOf(string(value))
	var shown strings.Builder
	shown.WriteString("b" + string(quote))
	for _, char := range value {
		switch {
		case rune(char) == quote:
			shown.WriteString(`\` + string(quote))
		case shortEscapes[rune(char)] != "":
			shown.WriteString(shortEscapes[rune(char)])
		case char >= 0x20 && char < 0x7f:
			shown.WriteByte(char)
		default:
			fmt.Fprintf(&shown, `\x%02x`, char)
		}
	}
	shown.WriteRune(quote)
	return shown.String()
}

func quoteOf(text string) rune {
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		return '"'
	}
	return '\''
}

func checkText(text string) error {
	if !utf8.ValidString(text) {
		return wrong("a text is not UTF-8")
	}
	return nil
}
