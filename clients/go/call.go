package flaskcache

import (
	"cmp"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Default is an argument of [Cache.Memo] that the call leaves out. Value is the default of its parameter.
type Default struct{ Value any }

// Ignored is an argument of [Cache.Memo] that the decorator's args_to_ignore names.
var Ignored ignored

type ignored struct{}

// Self is the first argument of a method's [Cache.Memo]: the repr() of the object, or what its __caching_id__() returns.
type Self string

// Class is the first argument of a class method's [Cache.Memo]: the class as module.name, or its repr().
type Class string

// A Keyword is a keyword-only argument that the call passes. It needs the option [Python].
type Keyword struct {
	Name  string
	Value any
}

// A call is a call of a memoized function, as its key describes it.
type call struct {
	function string
	self     string
	shown    []string // the repr() of each argument
	keywords string
}

func newCall(library Library, python, function string, args []any) (*call, error) {
	if !fullName.MatchString(function) || strings.ContainsFunc(function, unicode.IsSpace) || !utf8.ValidString(function) {
		return nil, wrong("the function %q is not named by its module and its qualified name, such as shop.total", function)
	}
	made := &call{function: function, keywords: library.keywords}
	var passed []Keyword
	for at, arg := range args {
		if keyword, isKeyword := arg.(Keyword); isKeyword {
			passed = append(passed, keyword)
			continue
		}
		if len(passed) > 0 {
			return nil, wrong("argument %d of %s follows a Keyword: Keywords come last", at+1, function)
		}
		shown, err := made.argument(library, at, arg)
		if err != nil {
			return nil, wrong("argument %d of %s: %v", at+1, function, err)
		}
		made.shown = append(made.shown, shown)
	}
	if len(passed) == 0 {
		return made, nil
	}
	keywords, err := keywordsText(library, python, function, passed)
	made.keywords = keywords
	return made, err
}

func (call *call) argument(library Library, at int, arg any) (string, error) {
	switch arg := arg.(type) {
	case Self:
		return reprText(string(arg)), call.setSelf(at, string(arg))
	case Class:
		return classText(at, string(arg))
	case ignored:
		return "None", nil
	case Default:
		if library.dropsFalse && isFalse(arg.Value) {
			return "None", nil
		}
		return repr(arg.Value, 0)
	}
	return repr(arg, 0)
}

func (call *call) setSelf(at int, self string) error {
	switch {
	case at != 0:
		return wrong("Self is the first argument")
	case !utf8.ValidString(self):
		return checkText(self)
	case self == "":
		return wrong("Self is empty: give the repr() of the object")
	case defaultRepr.MatchString(self):
		return wrong("the default repr() of an object contains its address, which differs in each process: only the app " +
			"can compute the key. Give the class a __repr__() that distinguishes its objects")
	case strings.HasPrefix(self, "<class "):
		return wrong("a class method has one version for all classes: use Class instead of Self")
	}
	call.self = self
	return nil
}

func classText(at int, name string) (string, error) {
	switch {
	case at != 0:
		return "", wrong("Class is the first argument")
	case defaultRepr.MatchString(name):
		return "", wrong("the text of the class contains an address, which differs in each process")
	case strings.HasPrefix(name, "<"):
		return reprText(name), checkText(name)
	case !strings.Contains(name, "."):
		return "", wrong("a class is named by its module and name, such as shop.%s", name)
	}
	return reprText("<class '" + name + "'>"), checkText(name)
}

// keywordsText is the library's text for keyword arguments. Python 3.12 prints an OrderedDict differently.
func keywordsText(library Library, python, function string, passed []Keyword) (string, error) {
	if !library.hasQueries {
		return "", wrong("%s: %s has no keyword-only arguments in its keys: leave the Keywords out", function, library.name)
	}
	if python == "" {
		return "", wrong("%s: a Keyword depends on the app's Python: use the option Python", function)
	}
	slices.SortFunc(passed, func(a, b Keyword) int { return cmp.Compare(a.Name, b.Name) })
	pairs := make([]string, len(passed))
	for at, keyword := range passed {
		if keyword.Name == "" || at > 0 && passed[at-1].Name == keyword.Name {
			return "", wrong("%s: a Keyword has no name, or %q is given twice", function, keyword.Name)
		}
		shown, err := repr(keyword.Value, 0)
		if err = cmp.Or(err, checkText(keyword.Name)); err != nil {
			return "", wrong("keyword %s of %s: %v", keyword.Name, function, err)
		}
		pairs[at] = "(" + reprText(keyword.Name) + ", " + shown + ")"
		if printsBraces(python) {
			pairs[at] = reprText(keyword.Name) + ": " + shown
		}
	}
	if printsBraces(python) {
		return "OrderedDict({" + strings.Join(pairs, ", ") + "})", nil
	}
	return "OrderedDict([" + strings.Join(pairs, ", ") + "])", nil
}

// isFalse reports whether Python takes a value as false.
func isFalse(value any) bool {
	switch value := value.(type) {
	case *big.Int:
		return value == nil || value.Sign() == 0
	case Decimal:
		return value.isZero()
	}
	held := reflect.ValueOf(value)
	switch held.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return held.Len() == 0
	case reflect.Float32, reflect.Float64:
		return held.Float() == 0
	case reflect.Bool, reflect.Complex64, reflect.Complex128:
		return held.IsZero()
	}
	return (held.CanInt() || held.CanUint()) && held.IsZero()
}
