package flaskcache

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func encode(format format, value any) ([]byte, error) {
	made, err := grow(reflect.ValueOf(value), root, 0)
	if err != nil {
		return nil, err
	}
	return format.write(made)
}

// grow makes the tree of a Go value.
func grow(value reflect.Value, at *place, depth int) (tree, error) {
	if depth++; depth > deepest {
		return nil, invalid(at.String(), "nests deeper than %d levels, or holds itself", deepest)
	}
	if !value.IsValid() {
		return nil, nil
	}
	kind := value.Type()
	if leaf := leaves[kind]; leaf != nil {
		return leaf(value, at, depth)
	}
	if kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Interface {
		return grow(value.Elem(), at, depth)
	}
	if is[reader](value) {
		return nil, invalid(at.String(), "a %s can be read but not written", kind)
	}
	if name := sequenceTag(value); name != "" {
		content, err := growList(value, at, depth)
		return &tag{name, content}, err
	}
	if custom, isCustom, err := growCustom(value, at); isCustom || err != nil {
		return custom, err
	}
	switch kind.Kind() {
	case reflect.Slice:
		if value.IsNil() {
			return nil, nil
		}
		if isBytes(kind) {
			return value.Bytes(), nil
		}
		return growList(value, at, depth)
	case reflect.Array:
		return growList(value, at, depth)
	case reflect.Map:
		return growMap(value, at, depth)
	case reflect.Struct:
		return growStruct(value, at, depth)
	}
	return growScalar(value, at)
}

func growScalar(value reflect.Value, at *place) (tree, error) {
	switch kind := value.Kind(); {
	case kind == reflect.Bool:
		return value.Bool(), nil
	case kind == reflect.String:
		return text(value.String(), at)
	case value.CanInt():
		return value.Int(), nil
	case value.CanUint():
		return fromUint(value.Uint()), nil
	case kind == reflect.Float32:
		return narrow(value.Float()), nil
	case kind == reflect.Float64:
		return value.Float(), nil
	case value.CanComplex():
		number := value.Complex()
		return &tag{"py/complex", []any{real(number), imag(number)}}, nil
	}
	return nil, invalid(at.String(), "a %s has no type in Python", value.Type())
}

// narrow is the float with the shortest text that has the same 32 bits, as in encoding/json.
func narrow(value float64) float64 {
	shortest, _ := strconv.ParseFloat(strconv.FormatFloat(value, 'g', -1, 32), 64) // has no error
	return shortest
}

func text(value string, at *place) (tree, error) {
	if !utf8.ValidString(value) {
		return nil, invalid(at.String(), "the text is not UTF-8: write bytes as []byte")
	}
	return value, nil
}

func growList(value reflect.Value, at *place, depth int) (tree, error) {
	values := make([]any, value.Len())
	for index := range values {
		made, err := grow(value.Index(index), at.item(index), depth)
		if err != nil {
			return nil, err
		}
		values[index] = made
	}
	return values, nil
}

// growMap makes an object of keys that are text, and pairs of other keys.
func growMap(value reflect.Value, at *place, depth int) (tree, error) {
	if value.IsNil() {
		return nil, nil
	}
	if value.Type().Key().Kind() != reflect.String || leaves[value.Type().Key()] != nil {
		pairs := make(Dict, 0, value.Len())
		for _, each := range sortedItems(value) {
			pairs = append(pairs, Pair{each.key.Interface(), each.value.Interface()})
		}
		return growPairs("py/dict", pairs, at, depth)
	}
	made := &object{}
	for _, each := range sortedItems(value) {
		name := each.key.String()
		if !utf8.ValidString(name) {
			return nil, invalid(at.String(), "the key %.64q is not UTF-8: use a Dict, and write the key as []byte", name)
		}
		content, err := grow(each.value, at.field(name), depth)
		if err != nil {
			return nil, err
		}
		made.add(name, content)
	}
	return escaped(made), nil
}

// escaped writes a dict that looks like a tag as pairs, so that it is none.
func escaped(made *object) tree {
	if len(made.names) == 1 && strings.HasPrefix(made.names[0], tagPrefix) {
		return &tag{"py/dict", []any{[]any{made.names[0], made.values[0]}}}
	}
	return made
}

type item struct{ key, value reflect.Value }

// sortedItems makes equal maps equal payloads. It iterates, because no map finds a key that is NaN.
func sortedItems(value reflect.Value) []item {
	items := make([]item, 0, value.Len())
	for each := value.MapRange(); each.Next(); {
		items = append(items, item{each.Key(), each.Value()})
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Compare(fmt.Sprint(a.key.Interface()), fmt.Sprint(b.key.Interface()))
	})
	return items
}

func growPairs(name string, pairs []Pair, at *place, depth int) (tree, error) {
	made := make([]any, len(pairs))
	for index, pair := range pairs {
		key, err := grow(reflect.ValueOf(pair.Key), at.item(index).item(0), depth+1)
		if err != nil {
			return nil, err
		}
		value, err := grow(reflect.ValueOf(pair.Value), at.item(index).item(1), depth+1)
		if err != nil {
			return nil, err
		}
		made[index] = []any{key, value}
	}
	return &tag{name, made}, nil
}

func growStruct(value reflect.Value, at *place, depth int) (tree, error) {
	fields, err := fieldsOf(value.Type())
	if err != nil {
		return nil, invalid(at.String(), "%v", err)
	}
	made := &object{}
	for _, each := range fields {
		held, isThere := each.of(value)
		if !isThere || each.omits != nil && each.omits(held) {
			continue
		}
		content, err := grow(held, at.field(each.name), depth)
		if err != nil {
			return nil, err
		}
		made.add(each.name, content)
	}
	return escaped(made), nil
}

// growCustom makes the tree of a type that marshals itself, as JSON or as text.
func growCustom(value reflect.Value, at *place) (tree, bool, error) {
	if marshaler, isJSON := held[json.Marshaler](value); isJSON {
		payload, err := marshaler.MarshalJSON()
		if err != nil {
			return nil, true, invalid(at.String(), "%s: %v", value.Type(), err)
		}
		if !json.Valid(payload) {
			return nil, true, invalid(at.String(), "%s: its MarshalJSON returns no JSON", value.Type())
		}
		made, err := jsonFormat{}.read(payload)
		if inner := (*ValueError)(nil); errors.As(err, &inner) {
			return nil, true, invalid(at.String(), "%s: its MarshalJSON: %s: %s", value.Type(), inner.Path, inner.Reason)
		}
		return made, true, err
	}
	if marshaler, isText := held[encoding.TextMarshaler](value); isText {
		written, err := marshaler.MarshalText()
		if err != nil {
			return nil, true, invalid(at.String(), "%s: %v", value.Type(), err)
		}
		made, err := text(string(written), at)
		return made, true, err
	}
	return nil, false, nil
}

// held returns a value as an interface, if its type or a pointer to it implements that.
func held[T any](value reflect.Value) (T, bool) {
	if found, is := value.Interface().(T); is {
		return found, true
	}
	if value.CanAddr() {
		found, is := value.Addr().Interface().(T)
		return found, is
	}
	var none T
	return none, false
}

func is[T any](value reflect.Value) bool {
	_, is := value.Interface().(T)
	return is
}
