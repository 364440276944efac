package flaskcache

import (
	"reflect"
	"time"
)

// A sequence is one of the generic lists with a tag.
type sequence interface{ pyTag() string }

// sequenceTag is the tag of a generic list, or "". A struct that embeds one is none.
func sequenceTag(value reflect.Value) string {
	if value.Kind() == reflect.Slice && value.CanInterface() {
		if found, is := value.Interface().(sequence); is {
			return found.pyTag()
		}
	}
	return ""
}

func (TupleOf[T]) pyTag() string     { return "py/tuple" }
func (SetOf[T]) pyTag() string       { return "py/set" }
func (FrozenSetOf[T]) pyTag() string { return "py/frozenset" }

// A reader is a type that the proxy shows and never writes.
type reader interface{ readOnly() }

func (InstanceOf[T]) readOnly() {}
func (Global) readOnly()        {}
func (Cycle) readOnly()         {}
func (Scalar) readOnly()        {}
func (Array) readOnly()         {}
func (Timestamp) readOnly()     {}
func (Series) readOnly()        {}
func (Frame) readOnly()         {}
func (Column) readOnly()        {}
func (Index) readOnly()         {}

// An instance is an InstanceOf any type. Its fields are Class, Value and Again.
type instance interface{ isInstance() }

func (InstanceOf[T]) isInstance() {}

// isInstance reports whether a value is an InstanceOf any type. A struct that embeds one is none.
func isInstance(value reflect.Value) bool {
	return value.Kind() == reflect.Struct && is[instance](value) && value.Type().PkgPath() == here
}

// isBytes reports whether a type is a list of bytes, which are Python's bytes.
func isBytes(kind reflect.Type) bool {
	return kind.Kind() == reflect.Slice && kind.Elem() == reflect.TypeFor[byte]()
}

// exact are the types that stand for one type of Python each, and take no other.
var exact = map[reflect.Type]bool{
	reflect.TypeFor[[]byte](): true, reflect.TypeFor[ByteArray](): true, reflect.TypeFor[time.Duration](): true,
	reflect.TypeFor[Decimal](): true, reflect.TypeFor[UUID](): true,
	reflect.TypeFor[Markup](): true, reflect.TypeFor[Date](): true, reflect.TypeFor[TimeOfDay](): true,
	reflect.TypeFor[Naive](): true, reflect.TypeFor[Zoned](): true, reflect.TypeFor[Dict](): true,
	reflect.TypeFor[OrderedDict](): true, reflect.TypeFor[Tagged](): true, reflect.TypeFor[Response](): true,
	reflect.TypeFor[Global](): true, reflect.TypeFor[Cycle](): true, reflect.TypeFor[Scalar](): true,
	reflect.TypeFor[Array](): true, reflect.TypeFor[Timestamp](): true, reflect.TypeFor[Series](): true,
	reflect.TypeFor[Frame](): true,
}
