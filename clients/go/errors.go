package flaskcache

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// ErrMiss says that the cache holds no such entry. errors.Is(ErrMiss, redis.Nil) is true.
var ErrMiss = fmt.Errorf("flaskcache: not in the cache: %w", redis.Nil)

// ErrVersion says that the version of a memoized function changed during each attempt to store a result.
var ErrVersion = errors.New("flaskcache: the version of the function changes all the time: is it invalidated in a loop?")

// A TypeError says that a value in the cache does not fit the wanted Go type. Nothing is converted in silence.
type TypeError struct {
	Path   string // such as $.items[3].price
	Python string // the type in Python, such as decimal.Decimal
	Want   string // the wanted type in Go
	Hint   string // what to do, or ""
}

func (e *TypeError) Error() string {
	text := fmt.Sprintf("flaskcache: %s: Python %s, want %s", e.Path, e.Python, e.Want)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// A ValueError says that a Go value cannot be written, or that a payload is malformed.
type ValueError struct {
	Path   string
	Reason string
}

func (e *ValueError) Error() string { return fmt.Sprintf("flaskcache: %s: %s", e.Path, e.Reason) }

// A UsageError says that an entry, an option or an argument of a method makes no sense, and what to do instead.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return "flaskcache: " + e.Reason }

func invalid(path, format string, args ...any) error {
	return &ValueError{path, fmt.Sprintf(format, args...)}
}

func wrong(format string, args ...any) error {
	for at, arg := range args {
		if inner, is := arg.(*UsageError); is {
			args[at] = inner.Reason
		}
	}
	return &UsageError{fmt.Sprintf(format, args...)}
}
