package flaskcache

import (
	"reflect"
	"strings"
)

// assignStruct takes a dict. A missing key is an error where the field does not say that it may be missing.
func assignStruct(into reflect.Value, value tree, at *place) error {
	found, fits := value.(*object)
	if !fits {
		return mismatch(into, value, at)
	}
	fields, err := fieldsOf(into.Type())
	if err != nil {
		return invalid(at.String(), "%v", err)
	}
	places := make(map[string]int, len(found.names))
	for index, name := range found.names {
		places[name] = index
	}
	for _, each := range fields {
		index, isThere := places[each.name]
		if !isThere {
			index, isThere = folded(found.names, each.name)
		}
		if !isThere && each.optional {
			continue
		}
		if !isThere {
			return &TypeError{
				at.field(each.name).String(), "dict without this key", into.Type().FieldByIndex(each.index).Type.String(),
				"use a pointer or omitempty if it may be missing",
			}
		}
		held, err := each.into(into, at.field(each.name))
		if err == nil {
			err = assign(held, found.values[index], at.field(each.name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// folded finds a name in any case, as encoding/json does.
func folded(names []string, wanted string) (int, bool) {
	for index := len(names) - 1; index >= 0; index-- {
		if strings.EqualFold(names[index], wanted) {
			return index, true
		}
	}
	return 0, false
}
