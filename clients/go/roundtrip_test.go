package flaskcache

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"
)

var formats = map[string]format{"json": jsonFormat{}, "msgpack": msgpackFormat{}}

func both(t *testing.T, test func(*testing.T, format)) {
	t.Helper()
	for name, format := range formats {
		t.Run(name, func(t *testing.T) { test(t, format) })
	}
}

var berlin = time.FixedZone("", 2*3600)

var values = map[string]any{
	"none":         nil,
	"bool":         true,
	"int":          int64(-42),
	"beyond 2^53":  int64(1<<53 + 1),
	"uint":         new(big.Int).SetUint64(math.MaxUint64),
	"large int":    new(big.Int).Lsh(big.NewInt(-1), 70),
	"float":        1.5,
	"whole float":  2.0,
	"large float":  1e300,
	"infinity":     math.Inf(-1),
	"text":         "tea ☃ \"\\\n\x00<&>",
	"list":         []any{int64(1), "a", nil, []any{}},
	"dict":         map[string]any{"a": int64(1), "": map[string]any{}},
	"like a tag":   Dict{{"py/date", "x"}},
	"bytes":        []byte{0, 255},
	"bytearray":    ByteArray{0, 255},
	"tuple":        Tuple{int64(1), Tuple{}},
	"set":          Set{int64(1)},
	"frozenset":    FrozenSet{"a"},
	"pairs":        Dict{{int64(1), "one"}, {Tuple{int64(1)}, nil}},
	"ordered":      OrderedDict{{"b", int64(1)}, {"a", int64(2)}},
	"decimal":      Decimal("1.10"),
	"uuid":         UUID("12345678-1234-5678-1234-567812345678"),
	"markup":       Markup("<b>tea</b>"),
	"date":         Date("2024-01-02"),
	"time":         TimeOfDay("03:04:05"),
	"naive":        Naive{time.Date(2024, 1, 2, 3, 4, 5, 678000, time.UTC)},
	"zoned":        Zoned{time.Date(2024, 7, 2, 3, 4, 5, 0, berlin), "Europe/Berlin"},
	"timedelta":    -time.Second - 2*time.Microsecond,
	"long ago":     -400 * 24 * time.Hour,
	"complex":      complex(1, -2),
	"other tag":    Tagged{"py/counter", map[string]any{"tea": int64(3)}},
	"response":     Response{201, [][2]string{{"X-A", "b"}}, []byte("tea")},
	"binary reply": Response{200, [][2]string{}, []byte{255}},
}

func TestEachValueIsReadAsItWasWritten(t *testing.T) {
	both(t, func(t *testing.T, format format) {
		for name, value := range values {
			payload, err := encode(format, value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var read any
			if err := decode(format, payload, &read); err != nil {
				t.Errorf("%s: %s: %v", name, payload, err)
				continue
			}
			equal(t, name, read, value)
		}
	})
}

func equal(t *testing.T, name string, read, value any) {
	t.Helper()
	if zoned, isZoned := read.(Zoned); isZoned {
		want := value.(Zoned)
		if !zoned.Equal(want.Time) || zoned.Zone != want.Zone {
			t.Errorf("%s: read %v, wrote %v", name, read, value)
		}
		return
	}
	if !reflect.DeepEqual(read, value) {
		t.Errorf("%s: read %#v, wrote %#v", name, read, value)
	}
}

func TestAnAwareTimeKeepsItsInstantAndOffset(t *testing.T) {
	both(t, func(t *testing.T, format format) {
		for _, offset := range []int{0, 2 * 3600, -5*3600 - 1800, 3600 + 30} {
			wrote := time.Date(2024, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", offset))
			payload, err := encode(format, wrote)
			if err != nil {
				t.Fatal(err)
			}
			var read time.Time
			if err := decode(format, payload, &read); err != nil {
				t.Fatal(err)
			}
			if _, got := read.Zone(); !read.Equal(wrote) || got != offset {
				t.Errorf("read %v, wrote %v", read, wrote)
			}
		}
	})
}

type product struct {
	Name  string            `json:"name"`
	Price Decimal           `json:"price"`
	Tags  TupleOf[string]   `json:"tags"`
	Since *time.Time        `json:"since"`
	Stock map[string]uint16 `json:"stock,omitempty"`
	Share float64
	inner int
}

func TestAStructIsReadAsItWasWritten(t *testing.T) {
	both(t, func(t *testing.T, format format) {
		wrote := []product{{"tea", "1.10", TupleOf[string]{"a"}, nil, map[string]uint16{"x": 3}, 2, 0}}
		payload, err := encode(format, wrote)
		if err != nil {
			t.Fatal(err)
		}
		var read []product
		if err := decode(format, payload, &read); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(read, wrote) {
			t.Errorf("read %+v, wrote %+v", read, wrote)
		}
	})
}

func TestAnErrorNamesThePlaceAndBothTypes(t *testing.T) {
	for payload, want := range map[string]string{
		`{"mean":{"py/numpy":{"dtype":"float64","value":2.25}}}`: "flaskcache: $.mean: Python numpy.float64, want float64 " +
			"(flaskcache.Scalar reads it)",
		`{"mean":{"py/decimal":"1.10"}}`: "flaskcache: $.mean: Python decimal.Decimal, want float64 " +
			"(flaskcache.Decimal reads it)",
		`{"mean":{"py/datetime":"2024-01-02T03:04:05"}}`: "flaskcache: $.mean: Python naive datetime.datetime, want float64 " +
			"(it has no zone: flaskcache.Naive reads it)",
		`{"mean":{"py/datetime":"2024-01-02T03:04:05+00:00"}}`: "flaskcache: $.mean: Python datetime.datetime, want float64 " +
			"(time.Time reads it)",
		`{"mean":{"py/datetime":"2024-01-02T03:04:05+00:00:00.5"}}`: "flaskcache: $.mean: Python datetime.datetime, want float64 " +
			"(flaskcache.Tagged reads it)",
		`{"mean":null}`: "flaskcache: $.mean: Python None, want float64",
		`{}`:            "flaskcache: $.mean: Python dict without this key, want float64 (use a pointer or omitempty if it may be missing)",
		`{"py/instance":{"class":"shop.Mean","value":{"mean":1}}}`: "flaskcache: $: Python shop.Mean, want flaskcache.means " +
			"(flaskcache.InstanceOf reads it)",
		`{"mean":1,"of":[1,2.5]}`: "flaskcache: $.of[1]: Python float, want int8",
		`{"mean":1,"of":[300]}`:   "flaskcache: $.of[0]: Python int, want int8 (the number does not fit: use a larger type or *big.Int)",
	} {
		var read means
		err := decode(jsonFormat{}, []byte(payload), &read)
		var typed *TypeError
		if !errors.As(err, &typed) || err.Error() != want {
			t.Errorf("%s: %v, want %s", payload, err, want)
		}
	}
}

type means struct {
	Mean float64 `json:"mean"`
	Of   []int8  `json:"of,omitempty"`
}

func TestWhatPythonCannotHoldIsRefused(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	for name, value := range map[string]any{
		"function": func() {}, "channel": make(chan int), "text": "\xff", "year": time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC),
		"instance": Instance{}, "frame": Frame{}, "loop": loop, "tag": Tagged{"date", "x"},
	} {
		both(t, func(t *testing.T, format format) {
			_, err := encode(format, []any{value})
			var invalid *ValueError
			if !errors.As(err, &invalid) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
