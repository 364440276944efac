package flaskcache

import (
	"encoding"
	"encoding/json"
	"math/big"
	"reflect"
	"time"
)

func decode(format format, payload []byte, into any) error {
	read, err := format.read(payload)
	if err != nil {
		return err
	}
	return assign(reflect.ValueOf(into).Elem(), read, root)
}

// assign sets a Go variable to a value of Python, or says which type does not fit.
func assign(into reflect.Value, value tree, at *place) error {
	kind := into.Type()
	switch {
	case kind.Kind() == reflect.Interface && kind.NumMethod() == 0:
		return assignNatural(into, value, at)
	case kind == reflect.TypeFor[big.Int]() || kind == reflect.TypeFor[*big.Int]():
		return assignBig(into, value, at)
	case kind.Kind() == reflect.Pointer:
		return assignPointer(into, value, at)
	case kind == reflect.TypeFor[time.Time]():
		return assignTime(into, value, at)
	case sequenceTag(into) != "":
		return assignSequence(into, value, at)
	case isInstance(into):
		return assignInstance(into, value, at)
	case exact[kind]:
		return assignExact(into, value, at)
	}
	if done, err := assignCustom(into, value, at); done || err != nil {
		return err
	}
	if set := kinds[kind.Kind()]; set != nil {
		return set(into, value, at)
	}
	return mismatch(into, value, at)
}

func assignNatural(into reflect.Value, value tree, at *place) error {
	found, err := natural(value, at)
	if err != nil {
		return err
	}
	if found == nil {
		into.SetZero()
	} else {
		into.Set(reflect.ValueOf(found))
	}
	return nil
}

func assignPointer(into reflect.Value, value tree, at *place) error {
	if value == nil {
		into.SetZero()
		return nil
	}
	made := reflect.New(into.Type().Elem())
	if err := assign(made.Elem(), value, at); err != nil {
		return err
	}
	into.Set(made)
	return nil
}

// assignExact takes a value whose own Go type is the wanted one.
func assignExact(into reflect.Value, value tree, at *place) error {
	found, err := natural(value, at)
	if err != nil {
		return err
	}
	if found == nil || reflect.TypeOf(found) != into.Type() {
		return mismatch(into, value, at)
	}
	into.Set(reflect.ValueOf(found))
	return nil
}

func assignBig(into reflect.Value, value tree, at *place) error {
	found, err := natural(value, at)
	if err != nil {
		return err
	}
	number, isBig := found.(*big.Int)
	if small, isSmall := found.(int64); isSmall {
		number, isBig = big.NewInt(small), true
	}
	isPointer := into.Kind() == reflect.Pointer
	switch {
	case found == nil && isPointer:
		into.SetZero()
	case !isBig:
		return mismatch(into, value, at)
	case isPointer:
		into.Set(reflect.ValueOf(number))
	default:
		into.Set(reflect.ValueOf(number).Elem())
	}
	return nil
}

// assignTime takes an aware datetime. A naive one has no instant, so it is no time.Time.
func assignTime(into reflect.Value, value tree, at *place) error {
	found, err := natural(value, at)
	if err != nil {
		return err
	}
	if zoned, isZoned := found.(Zoned); isZoned {
		found = zoned.Time
	}
	if _, isTime := found.(time.Time); !isTime {
		return mismatch(into, value, at)
	}
	into.Set(reflect.ValueOf(found))
	return nil
}

func assignSequence(into reflect.Value, value tree, at *place) error {
	found, isTag := value.(*tag)
	if !isTag || found.name != sequenceTag(into) {
		return mismatch(into, value, at)
	}
	return assignList(into, found.content, at)
}

func assignInstance(into reflect.Value, value tree, at *place) error {
	found, isTag := value.(*tag)
	if !isTag || found.name != "py/instance" {
		return mismatch(into, value, at)
	}
	content, err := contentObject(found, at)
	if err != nil {
		return err
	}
	class, _ := content.get("class").(string)
	again, _ := content.get("again").(bool)
	into.FieldByName("Class").SetString(class)
	into.FieldByName("Again").SetBool(again)
	return assign(into.FieldByName("Value"), content.get("value"), at)
}

// assignCustom sets a type that unmarshals itself. One from text takes text, and the tags whose content is text.
func assignCustom(into reflect.Value, value tree, at *place) (bool, error) {
	custom := into.Addr().Interface()
	fromText, isText := custom.(encoding.TextUnmarshaler)
	fromJSON, isJSON := custom.(json.Unmarshaler)
	found, isString := value.(string)
	if tagged, isTag := value.(*tag); isTag && textTags[tagged.name] {
		found, isString = tagged.content.(string)
	}
	var err error
	switch {
	case isText && isString:
		err = fromText.UnmarshalText([]byte(found))
	case isJSON:
		err = fromJSON.UnmarshalJSON(appendJSON(nil, value))
	case isText:
		return true, mismatch(into, value, at)
	}
	if err != nil {
		return true, invalid(at.String(), "%s: %v", into.Type(), err)
	}
	return isText || isJSON, nil
}

var textTags = map[string]bool{
	"py/decimal": true, "py/uuid": true, "py/date": true, "py/time": true, "py/datetime": true, "py/markup": true,
}

func mismatch(into reflect.Value, value tree, at *place) error {
	hint := hintFor(value)
	if tagged, isTag := value.(*tag); isTag && tagged.name == "py/timedelta" && into.Type() == reflect.TypeFor[time.Duration]() {
		hint = "it is longer than 292 years: flaskcache.Tagged reads it"
	}
	return &TypeError{at.String(), pythonName(value), into.Type().String(), hint}
}

// assignTo sets a Go variable to a value that has been read as any.
func assignTo(into any, value any, at *place) error {
	to := reflect.ValueOf(into).Elem()
	if value != nil && reflect.TypeOf(value).AssignableTo(to.Type()) {
		to.Set(reflect.ValueOf(value))
		return nil
	}
	again, err := grow(reflect.ValueOf(value), at, 0)
	if err != nil {
		return err
	}
	return assign(to, again, at)
}
