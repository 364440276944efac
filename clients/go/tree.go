package flaskcache

import (
	"fmt"
	"slices"
	"strings"
)

// A tree is a value between Go and a payload. It is nil, bool, int64, *big.Int, float64, string, []byte, []any, *object
// or *tag. Both formats read and write the same trees.
type tree = any

// An object is a dict whose keys are text.
type object struct {
	names  []string
	values []tree
}

func (object *object) add(name string, value tree) {
	object.names = append(object.names, name)
	object.values = append(object.values, value)
}

// get returns the last value of a name, as JSON readers do, and nil if there is none.
func (object *object) get(name string) tree {
	for at := len(object.names) - 1; at >= 0; at-- {
		if object.names[at] == name {
			return object.values[at]
		}
	}
	return nil
}

// A tag is an object whose only key names a type of Python.
type tag struct {
	name    string
	content tree
}

// raw is bytes that a format writes without a tag: base64 in JSON, bin in msgpack.
type raw []byte

const (
	tagPrefix = "py/"
	deepest   = 1000 // levels of a value; the proxy allows 100 by default
)

// tagged returns an object as it is, or the tag that it is.
func tagged(read *object) tree {
	if len(read.names) == 1 && strings.HasPrefix(read.names[0], tagPrefix) {
		return &tag{read.names[0], read.values[0]}
	}
	return read
}

// A format reads and writes payloads.
type format interface {
	read(payload []byte) (tree, error)
	write(value tree) ([]byte, error)
}

// plainFormat reads a plain listener's values, where an object is never a tag.
type plainFormat struct{ of format }

func (plain plainFormat) read(payload []byte) (tree, error) {
	read, err := plain.of.read(payload)
	return untagged(read), err
}

func (plainFormat) write(tree) ([]byte, error) {
	return nil, wrong("a plain listener writes no values: use a listener with types")
}

func untagged(value tree) tree {
	switch value := value.(type) {
	case []any:
		for at, each := range value {
			value[at] = untagged(each)
		}
	case *object:
		for at, each := range value.values {
			value.values[at] = untagged(each)
		}
	case *tag:
		return &object{[]string{value.name}, []tree{untagged(value.content)}}
	}
	return value
}

// A place is where a value stands in another, for errors. Its text is made only for an error.
type place struct {
	up    *place
	name  string
	index int // of a list, or -1
}

var root *place

func (at *place) field(name string) *place { return &place{at, name, -1} }
func (at *place) item(index int) *place    { return &place{at, "", index} }

const (
	longestName = 64 // bytes of a key that an error shows
	outerSteps  = 16 // that an error shows of a deep place
	innerSteps  = 4
)

func (at *place) String() string {
	var steps []string
	for ; at != nil; at = at.up {
		steps = append(steps, at.step())
	}
	steps = append(steps, "$")
	slices.Reverse(steps)
	if left := len(steps) - innerSteps; left > outerSteps {
		steps = slices.Replace(steps, outerSteps, left, fmt.Sprintf(" ... %d more ... ", left-outerSteps))
	}
	return strings.Join(steps, "")
}

// step is the last part of a place.
func (at *place) step() string {
	if at.index >= 0 {
		return fmt.Sprintf("[%d]", at.index)
	}
	name := at.name
	if len(name) > longestName {
		name = name[:longestName] + "..."
	}
	if isIdentifier(name) {
		return "." + name
	}
	return fmt.Sprintf("[%q]", name)
}

func isIdentifier(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}
