package flaskcache

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type secret struct{ name, price string }

type broken struct{}

func (broken) MarshalJSON() ([]byte, error) { return []byte("{tea"), nil }

// structOf makes a type with a mistake that go vet would find in a source file.
func structOf(fields ...reflect.StructField) any {
	return reflect.New(reflect.StructOf(fields)).Interface()
}

var intType = reflect.TypeFor[int]()

func TestAStructThatWouldLoseFieldsIsRefusedInBothDirections(t *testing.T) {
	for want, value := range map[string]any{
		"no field of flaskcache.secret is exported": &secret{"tea", "1"},
		"begin it with a capital": structOf(
			reflect.StructField{Name: "Stock", Type: intType},
			reflect.StructField{Name: "price", Type: intType, Tag: `json:"price"`, PkgPath: here},
		),
		`the fields Net and Gross of `: structOf(
			reflect.StructField{Name: "Net", Type: intType, Tag: `json:"price"`},
			reflect.StructField{Name: "Gross", Type: intType, Tag: `json:"price"`},
		),
	} {
		_, written := encode(jsonFormat{}, []any{value})
		read := decode(jsonFormat{}, []byte(`{"price":1}`), value)
		for _, err := range []error{written, read} {
			var invalid *ValueError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

func TestFieldsThatAreLeftOutOnPurposeAreNoMistake(t *testing.T) {
	for want, value := range map[string]any{
		`{}`: struct{}{}, `{"-":0}`: structOf(reflect.StructField{Name: "Dash", Type: intType, Tag: `json:"-,"`}), `{"Stock":1}`: struct {
			Stock int
			note  string
		}{1, "tea"},
	} {
		payload, err := encode(jsonFormat{}, value)
		if err != nil || string(payload) != want {
			t.Errorf("%s %v, want %s", payload, err, want)
		}
	}
}

func TestWhatIsNoValueIsRefusedByItsName(t *testing.T) {
	cache := New(unused, Caching25, "")
	for want, value := range map[string]any{
		"$[0]: a flaskcache.Default is an argument of Memo":  Default{1},
		"$[0]: a flaskcache.Keyword is an argument of Memo":  Keyword{"deep", true},
		"$[0]: a flaskcache.Self is an argument of Memo":     Self("Cart(5)"),
		"$[0]: a flaskcache.Class is an argument of Memo":    Class("shop.Cart"),
		"$[0]: a flaskcache.ignored is an argument of Memo":  Ignored,
		"no field of flaskcache.Entry is exported":           cache.View("/"),
		"no field of flaskcache.Cache is exported":           cache,
		"no field of errors.errorString is exported":         errors.New("tea"),
		"flaskcache.broken: its MarshalJSON returns no JSON": broken{},
		`the key "\xff" is not UTF-8`:                        map[string]int{"\xff": 1},
	} {
		both(t, func(t *testing.T, format format) {
			_, err := encode(format, []any{value})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "flaskcache: ") != 1 {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

func TestAKeyThatIsNotANumberIsWritten(t *testing.T) {
	payload, err := encode(jsonFormat{}, map[float64]int{math.NaN(): 1})
	if want := `{"py/dict":[[{"py/float":"nan"},1]]}`; err != nil || string(payload) != want {
		t.Errorf("%s %v", payload, err)
	}
}

func TestTheErrorOfADeepPlaceIsShort(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	_, written := encode(jsonFormat{}, loop)
	var value any
	read := decode(jsonFormat{}, []byte(strings.Repeat("[", 1_000_000)), &value)
	packed := decode(msgpackFormat{}, []byte(strings.Repeat("\x91", 1_000_000)), &value)
	for _, err := range []error{written, read, packed} {
		if err == nil || len(err.Error()) > 300 || !strings.Contains(err.Error(), " more ... ") {
			t.Error(err)
		}
	}
}

func TestATimedeltaThatGoDoesNotHaveHasAHint(t *testing.T) {
	var length time.Duration
	err := decode(jsonFormat{}, []byte(`{"py/timedelta":[999999999,0,0]}`), &length)
	if err == nil || !strings.Contains(err.Error(), "it is longer than 292 years: flaskcache.Tagged reads it") {
		t.Error(err)
	}
}
