package flaskcache

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A field is a field of a struct, as encoding/json names it. Its option "string" is not used: Python has numbers.
type field struct {
	name     string
	index    []int
	isNamed  bool // by a tag
	optional bool // a pointer, an interface, or omitempty or omitzero: it may be missing
	omits    func(reflect.Value) bool
}

// A layout is the fields of a struct, or what is wrong with them.
type layout struct {
	fields []field
	err    error
}

var known sync.Map // reflect.Type -> layout

func fieldsOf(kind reflect.Type) ([]field, error) {
	found, isKnown := known.Load(kind)
	if !isKnown {
		all := collect(kind, field{}, nil)
		fields := slices.DeleteFunc(slices.Clone(all), func(each field) bool { return !dominates(each, all) })
		found = layout{fields, structDefect(kind, len(all))}
		known.Store(kind, found)
	}
	return found.(layout).fields, found.(layout).err
}

// structDefect names the fields that a struct would lose by a mistake. Collected is the number of its fields in Python.
func structDefect(kind reflect.Type, collected int) error {
	hidden, named := "", map[string]string{}
	for at := range kind.NumField() {
		each := kind.Field(at)
		name, _, _ := strings.Cut(each.Tag.Get("json"), ",")
		switch other, isTwice := named[name]; {
		case each.Tag.Get("json") == "-" || each.Anonymous:
		case name != "" && !each.IsExported():
			return fmt.Errorf("the field %s of %s has a name for JSON and is not exported: begin it with a capital", each.Name, kind)
		case isTwice && name != "":
			return fmt.Errorf("the fields %s and %s of %s have one name, %q", other, each.Name, kind, name)
		case each.IsExported():
			named[name] = each.Name
		default:
			hidden = each.Name
		}
	}
	if collected == 0 && hidden != "" {
		return fmt.Errorf("no field of %s is exported: Go shows none of them", kind)
	}
	return nil
}

// collect returns the fields of a struct and of the structs that it embeds. Up are the structs that embed it.
func collect(kind reflect.Type, outer field, up []reflect.Type) []field {
	if slices.Contains(up, kind) {
		return nil
	}
	var fields []field
	for at := range kind.NumField() {
		each := kind.Field(at)
		name, options, _ := strings.Cut(each.Tag.Get("json"), ",")
		index := append(slices.Clone(outer.index), at)
		inner, isPointer := each.Type, each.Type.Kind() == reflect.Pointer
		if isPointer {
			inner = inner.Elem()
		}
		switch {
		case each.Tag.Get("json") == "-": // "-," is the name -
		case each.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			within := field{index: index, optional: outer.optional || isPointer}
			fields = append(fields, collect(inner, within, append(slices.Clone(up), kind))...)
		case each.IsExported():
			fields = append(fields, newField(each, name, options, index, outer.optional))
		}
	}
	return fields
}

func newField(of reflect.StructField, name, options string, index []int, optional bool) field {
	kind := of.Type.Kind()
	made := field{name: name, index: index, isNamed: name != ""}
	made.optional = optional || kind == reflect.Pointer || kind == reflect.Interface
	if name == "" {
		made.name = of.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitzero":
			made.optional, made.omits = true, isZero
		case "omitempty":
			made.optional, made.omits = true, isEmpty
		}
	}
	return made
}

// dominates reports whether a field is the one of its name: the least deep, then the one that a tag names. Of two that
// are alike, none is.
func dominates(one field, all []field) bool {
	for _, other := range all {
		if other.name != one.name || slices.Equal(other.index, one.index) || len(other.index) > len(one.index) {
			continue
		}
		if len(other.index) < len(one.index) || other.isNamed || !one.isNamed {
			return false
		}
	}
	return true
}

// of returns the field's value, unless it is in an embedded pointer that is nil.
func (field field) of(value reflect.Value) (reflect.Value, bool) {
	found, err := value.FieldByIndexErr(field.index)
	return found, err == nil
}

// into returns the field to set, for which it makes the embedded pointers on the way.
func (field field) into(value reflect.Value, at *place) (reflect.Value, error) {
	for _, step := range field.index {
		if value.Kind() == reflect.Pointer {
			if value.IsNil() && !value.CanSet() {
				return value, invalid(at.String(), "Go cannot set an embedded pointer to the type %s, which is not exported", value.Type())
			}
			if value.IsNil() {
				value.Set(reflect.New(value.Type().Elem()))
			}
			value = value.Elem()
		}
		value = value.Field(step)
	}
	return value, nil
}

// isEmpty is what encoding/json takes as empty.
func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return value.Len() == 0
	case reflect.Struct:
		return false
	}
	return value.IsZero()
}

// isZero is what encoding/json takes as zero: a type may say so itself, as time.Time does.
func isZero(value reflect.Value) bool {
	if says, can := held[interface{ IsZero() bool }](value); can && (value.Kind() != reflect.Pointer || !value.IsNil()) {
		return says.IsZero()
	}
	return value.IsZero()
}
