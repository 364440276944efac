package flaskcache

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var seeds = []string{
	``, `null`, `[1,2.5,"a",{}]`, `{"a":{"py/date":"2024-01-02"}}`, `{"py/tuple":[1]}`, `{"py/tuple":1}`, `{"py/":null}`,
	`{"py/int":"1180591620717411303424"}`, `{"py/int":"` + strings.Repeat("9", 5000) + `"}`, `{"py/float":"nan"}`, `{"py/float":[]}`,
	`{"py/bytes":"AP8="}`, `{"py/bytes":"!"}`, `{"py/datetime":"2024-01-02T03:04:05.678000+02:00:30"}`, `{"py/datetime":"x"}`,
	`{"py/timedelta":[999999999,86399,999999]}`, `{"py/timedelta":[1]}`, `{"py/complex":[1,"x"]}`, `{"py/dict":[[[1],2],[3]]}`,
	`{"py/dict":[[{"py/tuple":[]},1],[{"py/tuple":[]},2]]}`, `{"py/response":{"status":200,"headers":[["a","b"]],"body":"x"}}`,
	`{"py/response":{"status":200,"headers":[["a"]],"body":{"py/x":"x"}}}`, `{"py/zoned":{"at":"2024-07-02T03:04:05+02:00","zone":"Europe/Berlin"}}`,
	`{"py/instance":{"class":"shop.Cart","value":{"id":1},"again":true}}`, `{"py/instance":[]}`, `{"py/global":1}`, `{"py/cycle":-1}`,
	`{"py/numpy":{"dtype":"float64","value":2.25}}`, `{"py/ndarray":{"dtype":"int64","shape":[2,2],"values":[1,2,3,4]}}`,
	`{"py/timestamp":{"at":"x","zone":"y"}}`, `{"py/series":{"name":"v","dtype":"float64","index":{"range":[0,2,1]},"values":[1.5,null]}}`,
	`{"py/dataframe":{"rows":2,"index":{"names":["a"],"levels":[{"name":null,"dtype":"object","values":[]}],"codes":[[0,-1]]},"columns":[]}}`,
	`{"a":1,"a":2,"__proto__":3}`, `[1,]`, `[1 2]`, `{"a" 1}`, `{1:2}`, `{"a":1}}`, `1e999`, `-0`, `"\ud800"`, "\"\xff\"", `01`, "[", `{"a":`,
	strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 5000), "\x81\xa1a\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
	"\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc7\x00\x01", "\xd6\xff\x00\x00\x00\x00", "\xc1", "\x81\xc0\x01", "\x81\x01\x01", "\x81\xc4\x01a\x01",
	"\xa1\xff", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\xaapy/ndarray\x83\xa5dtype\xa5int64\xa5shape\x91\x01\xa6values\xc4\x08\x01\x00\x00\x00\x00\x00\x00\x00",
	"\xc0", "\x92\x01\xc3", strings.Repeat("\x91", 5000) + "\x01",
}

type wanted struct {
	Name  string     `json:"name"`
	Price *Decimal   `json:"price"`
	At    *time.Time `json:"at"`
	Tags  TupleOf[string]
	Of    map[Tuple2]float32 `json:"a,omitempty"`
	Rest  InstanceOf[map[string]any]
	*embedded
}

type (
	embedded struct{ ID uint8 }
	// Tuple2 is a key of a map that a tuple fills.
	Tuple2 [2]int8
)

func FuzzPayloads(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for name, format := range formats {
			var value any
			err := decode(format, payload, &value)
			if name == "json" && err == nil && !json.Valid(payload) {
				t.Fatalf("%q is no JSON, but was read as %#v", payload, value)
			}
			if err == nil {
				writtenBack(t, format, value)
			}
			others(format, payload)
			others(plainFormat{format}, payload)
		}
	})
}

// writtenBack writes what was read. It must be read again as the same, or be refused as what is for reading only.
func writtenBack(t *testing.T, format format, value any) {
	t.Helper()
	payload, err := encode(format, value)
	if refused := (*ValueError)(nil); errors.As(err, &refused) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := decode(format, payload, &again); err != nil {
		t.Fatalf("%#v was written as %q: %v", value, payload, err)
	}
	second, err := encode(format, again)
	if err != nil || string(second) != string(payload) {
		t.Fatalf("%#v was written as %q and then as %q: %v", value, payload, second, err)
	}
}

// others reads a payload as types that it hardly is. None may panic.
func others(format format, payload []byte) {
	for _, kind := range []any{
		new(wanted), new(map[any]any), new(map[int]string), new([]int16), new([3]float32), new(complex64), new(json.RawMessage),
		new(json.Number), new(Naive), new(Frame), new(Series), new(Array), new(SetOf[*uint64]), new(InstanceOf[wanted]), new(**bool),
		new(struct{ Tuple }), new(error), new(func()), new(chan int), new(Column), new(Index), new(Response), new(struct{ Instance }),
	} {
		_ = decode(format, payload, kind)
	}
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"", "/", "%", "%s", "%%s%b", "/%E2%98", "/%ZZ?#", "a=%C3&b=\xa9", "shop.total", "shop.\xff", "<x at 0x1f>", "1e-7", "Cart('5')"} {
		f.Add("flask_cache_", seed, seed)
		f.Add(seed, seed, "/"+seed)
	}
	f.Fuzz(func(t *testing.T, prefix, one, other string) {
		for _, library := range []Library{FlaskCache013, Caching24, Caching25, {}} {
			cache := New(unused, library, prefix, Python(one), Hash("sha1"))
			cache.err = New(unused, library, prefix).err
			for _, entry := range []Entry{
				cache.View(other), cache.Query(other, one), cache.KeyPrefix(one).View(other), cache.KeyPrefix(one).Query(other, one),
				cache.Fragment(one, other),
			} {
				if key, err := entry.Key(t.Context()); err == nil && (!utf8.ValidString(key) || !strings.HasPrefix(key, prefix)) {
					t.Errorf("%q, %q, %q: %q", prefix, one, other, key)
				}
			}
			for _, entry := range []Entry{
				cache.Memo(one, other, Default{one}, []byte(other)), cache.Memo("shop.Cart.total", Self(one), Decimal(other)),
				cache.Memo("shop.Cart.most", Class(one), Date(other), TimeOfDay(one)), cache.Memo("shop.f", Keyword{one, UUID(other)}),
			} {
				if entry.err != nil {
					continue
				}
				for _, key := range append(versionKeys(library, prefix, entry.call), resultKey(library, prefix, entry.call, "GOVER1")) {
					if !strings.HasPrefix(key, prefix) {
						t.Errorf("%q, %q, %q: %q", prefix, one, other, key)
					}
				}
			}
		}
	})
}

func TestSeedsAreReadAlikeByBothFormats(t *testing.T) {
	for _, seed := range seeds {
		var read, again any
		if decode(jsonFormat{}, []byte(seed), &read) != nil {
			continue
		}
		payload, err := encode(msgpackFormat{}, read)
		if err != nil {
			continue // for reading only
		}
		if err := decode(msgpackFormat{}, payload, &again); err != nil {
			t.Errorf("%s: %v", seed, err)
		}
		one, _ := encode(jsonFormat{}, read)
		other, _ := encode(jsonFormat{}, again)
		if !reflect.DeepEqual(one, other) {
			t.Errorf("%s: %s and %s", seed, one, other)
		}
	}
}
