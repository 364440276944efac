package flaskcache

import (
	"math/big"
	"reflect"
)

var kinds map[reflect.Kind]func(into reflect.Value, value tree, at *place) error

func init() { // the table's functions use the table
	kinds = map[reflect.Kind]func(reflect.Value, tree, *place) error{
		reflect.Bool: assignBool, reflect.String: assignString,
		reflect.Int: assignInt, reflect.Int8: assignInt, reflect.Int16: assignInt, reflect.Int32: assignInt,
		reflect.Int64: assignInt,
		reflect.Uint:  assignUint, reflect.Uint8: assignUint, reflect.Uint16: assignUint, reflect.Uint32: assignUint,
		reflect.Uint64: assignUint, reflect.Uintptr: assignUint,
		reflect.Float32: assignFloat, reflect.Float64: assignFloat,
		reflect.Complex64: assignComplex, reflect.Complex128: assignComplex,
		reflect.Slice: assignList, reflect.Array: assignArray, reflect.Map: assignMap, reflect.Struct: assignStruct,
	}
}

func assignBool(into reflect.Value, value tree, at *place) error {
	found, fits := value.(bool)
	if !fits {
		return mismatch(into, value, at)
	}
	into.SetBool(found)
	return nil
}

func assignString(into reflect.Value, value tree, at *place) error {
	found, fits := value.(string)
	if !fits {
		return mismatch(into, value, at)
	}
	into.SetString(found)
	return nil
}

func assignInt(into reflect.Value, value tree, at *place) error {
	found, fits := whole(value)
	if !fits {
		return mismatch(into, value, at)
	}
	if !found.IsInt64() || into.OverflowInt(found.Int64()) {
		return overflow(into, at)
	}
	into.SetInt(found.Int64())
	return nil
}

func assignUint(into reflect.Value, value tree, at *place) error {
	found, fits := whole(value)
	if !fits {
		return mismatch(into, value, at)
	}
	if !found.IsUint64() || into.OverflowUint(found.Uint64()) {
		return overflow(into, at)
	}
	into.SetUint(found.Uint64())
	return nil
}

func whole(value tree) (*big.Int, bool) {
	switch value := value.(type) {
	case int64:
		return big.NewInt(value), true
	case *big.Int:
		return value, true
	case *tag:
		if content, isText := value.content.(string); isText && value.name == "py/int" {
			read, err := integer(content, root)
			if err == nil {
				return whole(read)
			}
		}
	}
	return nil, false
}

func overflow(into reflect.Value, at *place) error {
	return &TypeError{at.String(), "int", into.Type().String(), "the number does not fit: use a larger type or *big.Int"}
}

// assignFloat also takes an int that the type has exactly, as Python does.
func assignFloat(into reflect.Value, value tree, at *place) error {
	found, fits := value.(float64)
	if tagged, isTag := value.(*tag); isTag && tagged.name == "py/float" {
		read, err := readFloat(tagged, at)
		if err != nil {
			return err
		}
		found, fits = read.(float64)
	} else if number, isInt := whole(value); isInt {
		exact, accuracy := new(big.Float).SetInt(number).Float64()
		if accuracy != big.Exact || into.Kind() == reflect.Float32 && float64(float32(exact)) != exact {
			return overflow(into, at)
		}
		found, fits = exact, true
	}
	if !fits {
		return mismatch(into, value, at)
	}
	if into.OverflowFloat(found) {
		return &TypeError{at.String(), "float", into.Type().String(), "the number does not fit: use float64"}
	}
	into.SetFloat(found)
	return nil
}

func assignComplex(into reflect.Value, value tree, at *place) error {
	tagged, isTag := value.(*tag)
	if !isTag || tagged.name != "py/complex" {
		return mismatch(into, value, at)
	}
	found, err := readComplex(tagged, at)
	if err != nil {
		return err
	}
	if into.OverflowComplex(found.(complex128)) {
		return &TypeError{at.String(), "complex", into.Type().String(), "the number does not fit: use complex128"}
	}
	into.SetComplex(found.(complex128))
	return nil
}

func assignList(into reflect.Value, value tree, at *place) error {
	if isBytes(into.Type()) {
		return assignBytes(into, value, at)
	}
	found, fits := value.([]any)
	if !fits {
		return mismatch(into, value, at)
	}
	made := reflect.MakeSlice(into.Type(), len(found), len(found))
	for index, each := range found {
		if err := assign(made.Index(index), each, at.item(index)); err != nil {
			return err
		}
	}
	into.Set(made)
	return nil
}

// assignBytes sets a type of bytes that has a name of its own.
func assignBytes(into reflect.Value, value tree, at *place) error {
	found, err := natural(value, at)
	if err != nil {
		return err
	}
	content, fits := found.([]byte)
	if !fits {
		return mismatch(into, value, at)
	}
	into.SetBytes(content)
	return nil
}

func assignArray(into reflect.Value, value tree, at *place) error {
	found, fits := value.([]any)
	if !fits {
		return mismatch(into, value, at)
	}
	if len(found) != into.Len() {
		return invalid(at.String(), "a Python list of %d, want %s", len(found), into.Type())
	}
	for index, each := range found {
		if err := assign(into.Index(index), each, at.item(index)); err != nil {
			return err
		}
	}
	return nil
}

// assignMap takes a dict. Where the map's keys are no text, it takes pairs too.
func assignMap(into reflect.Value, value tree, at *place) error {
	made := reflect.MakeMap(into.Type())
	switch found := value.(type) {
	case *object:
		for index, name := range found.names {
			if err := assignPair(made, name, found.values[index], at.field(name)); err != nil {
				return err
			}
		}
	case *tag:
		if found.name != "py/dict" {
			return mismatch(into, value, at)
		}
		pairs, err := pairsOf(found, at)
		if err != nil {
			return err
		}
		for index, pair := range pairs {
			if assign(reflect.New(made.Type().Key()).Elem(), pair[0], at) != nil {
				return mismatch(into, value, at)
			}
			if err := assignPair(made, pair[0], pair[1], at.item(index)); err != nil {
				return err
			}
		}
	default:
		return mismatch(into, value, at)
	}
	into.Set(made)
	return nil
}

func assignPair(made reflect.Value, name, value tree, at *place) error {
	key := reflect.New(made.Type().Key()).Elem()
	if err := assign(key, name, at); err != nil {
		return err
	}
	if !key.Comparable() {
		return invalid(at.String(), "a key of a dict is no key of a Go map: read it as flaskcache.Dict")
	}
	held := reflect.New(made.Type().Elem()).Elem()
	if err := assign(held, value, at); err != nil {
		return err
	}
	made.SetMapIndex(key, held)
	return nil
}
