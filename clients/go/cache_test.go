package flaskcache

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"math"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var errNoServer = errors.New("there is no server")

// unused is a client without a server.
var unused = redis.NewClient(&redis.Options{
	MaxRetries: -1, DialerRetries: 1,
	Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, errNoServer },
})

func TestWhatNewDidNotMakeIsAnError(t *testing.T) {
	var none *Cache
	for name, cache := range map[string]*Cache{
		"nil": none, "empty": {}, "no client": New(nil, Caching25, ""), "nil client": New((*redis.Client)(nil), Caching25, ""),
		"pipeline": New(unused.Pipeline(), Caching25, ""), "no library": New(unused, Library{}, ""),
		"no hash": New(unused, Caching25, "", Hash("crc32")), "two errors": New(unused, Library{}, "", nil, Python("x"), Hash("")),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			for _, entry := range []Entry{
				cache.View("/"), cache.Query("/", "a=1"), cache.Fragment("a"), cache.Memo("shop.total"),
				cache.KeyPrefix("%s").View("/"), cache.KeyPrefix("%s").Query("/", ""), {}, Views{}.View("/"), Views{}.Query("/", ""),
			} {
				_, keyError := entry.Key(ctx)
				_, getError := Get[int](ctx, entry)
				isUsage(t, keyError, getError, entry.Set(ctx, 1, time.Minute), entry.Delete(ctx), entry.Invalidate(ctx))
			}
			_, prefixError := cache.InvalidatePrefix(ctx, "a")
			_, allError := cache.InvalidateAll(ctx)
			_, marshalError := cache.Marshal(1)
			_, unmarshalError := Unmarshal[int](cache, []byte("1"))
			isUsage(t, prefixError, allError, marshalError, unmarshalError)
		})
	}
}

func TestANilContextIsAnError(t *testing.T) {
	var none context.Context
	cache := New(unused, Caching25, "shop_")
	for _, entry := range []Entry{cache.View("/"), cache.Query("/", ""), cache.Memo("shop.total")} {
		_, keyError := entry.Key(none)
		_, getError := Get[int](none, entry)
		isUsage(t, keyError, getError, entry.Set(none, 1, time.Minute), entry.Delete(none), entry.Invalidate(none))
	}
	_, prefixError := cache.InvalidatePrefix(none, "a")
	_, allError := cache.InvalidateAll(none)
	isUsage(t, prefixError, allError)
}

func isUsage(t *testing.T, errs ...error) {
	t.Helper()
	for at, err := range errs {
		if wrong := (*UsageError)(nil); !errors.As(err, &wrong) || strings.Count(err.Error(), "flaskcache: ") != 1 {
			t.Errorf("error %d: %v", at, err)
		}
	}
}

func TestWhatServersSayIsPassedOn(t *testing.T) {
	ctx, cache := t.Context(), New(unused, Caching25, "")
	for _, entry := range []Entry{cache.View("/"), cache.Memo("shop.total"), cache.Query("/", "")} {
		_, err := Get[any](ctx, entry)
		for _, err := range []error{err, entry.Set(ctx, 1, Forever), entry.Delete(ctx), entry.Invalidate(ctx)} {
			if !errors.Is(err, errNoServer) {
				t.Error(err)
			}
		}
	}
	if !errors.Is(ErrMiss, redis.Nil) {
		t.Error("ErrMiss is not redis.Nil")
	}
}

func TestOptionsMayStandInAnyOrder(t *testing.T) {
	for _, options := range [][]Option{{Plain(), Msgpack()}, {Msgpack(), Plain()}} {
		cache := New(unused, Caching25, "", options...)
		if read, err := Unmarshal[map[string]int](cache, []byte("\x81\xa4py/x\x01")); err != nil || read["py/x"] != 1 {
			t.Error(read, err)
		}
		_, err := cache.Marshal(1)
		isUsage(t, err)
	}
}

type (
	point struct{ X, Y int }
	addr  struct{ netip.Addr }
)

func TestArgumentsArePrintedAsPythonPrintsThem(t *testing.T) {
	for want, value := range map[string]any{
		"None": (*big.Int)(nil), "'a'": template.HTML("a"), "b'a'": net.HardwareAddr("a"), "[1, True]": []any{1, true}, "()": TupleOf[int]{},
		"(1,)": TupleOf[int]{1}, "1e-05": 1e-5, "1e+16": 1e16, "0.1": float32(0.1), "-0.0": math.Copysign(0, -1), "inf": math.Inf(1),
		"18446744073709551615": uint64(math.MaxUint64), "12": json.Number("12"), "1.0": json.Number("1.0"),
		"{'a': 1}": map[string]int{"a": 1}, "{1: (2,), 'b': []}": Dict{{1, Tuple{2}}, {"b", []int{}}}, "set()": SetOf[int]{},
		"frozenset({1})": FrozenSet{1}, "{'a'}": Set{"a"}, "bytearray(b'\\x00')": ByteArray{0}, "Markup('<b>')": Markup("<b>"),
		"datetime.timedelta(0)": time.Duration(0), "datetime.timedelta(days=-1, seconds=86399)": -time.Second,
		"datetime.timedelta(microseconds=1500)": 1500 * time.Microsecond, "datetime.time(3, 4)": TimeOfDay("03:04:00"),
		"datetime.time(3, 4, 0, 500000)": TimeOfDay("03:04:00.5"), "datetime.date(2024, 1, 2)": Date("2024-01-02"),
		"datetime.datetime(2024, 1, 2, 3, 4)":                                     Naive{time.Date(2024, 1, 2, 3, 4, 0, 999, time.UTC)},
		"datetime.datetime(2024, 1, 2, 0, 0, 0, 7, tzinfo=datetime.timezone.utc)": time.Date(2024, 1, 2, 0, 0, 0, 7000, time.UTC),
		"Decimal('1E+3')": Decimal("1e3"), "Decimal('7')": Decimal("+007"), "Decimal('0.5')": Decimal(".5"), "Decimal('5')": Decimal("5."),
		"Decimal('1E-7')": Decimal("0.0000001"), "Decimal('0.000001')": Decimal("0.000001"), "Decimal('-0.00')": Decimal("-0.00"),
		"Decimal('1.10')": Decimal("1.10"), "Decimal('1.23E+5')": Decimal("123e3"), "Decimal('0E+3')": Decimal("0e3"),
		"Decimal('-Infinity')": Decimal("-inf"), "Decimal('sNaN12')": Decimal("SNAN012"), `"it's"`: "it's", `'it\'s "x"'`: `it's "x"`,
	} {
		if shown, err := repr(value, 0); err != nil || shown != want {
			t.Errorf("%#v: %s, want %s (%v)", value, shown, want, err)
		}
	}
}

func TestArgumentsThatOnlyTheAppCanPrintAreRefused(t *testing.T) {
	inside := []any{nil}
	inside[0] = inside
	for name, value := range map[string]any{
		"itself": inside, "struct": point{}, "pointer": new(int), "function": func() {}, "channel": make(chan int), "marshals": netip.Addr{},
		"marshaled struct": addr{}, "two keys": map[string]int{"a": 1, "b": 2}, "text": "\xff", "text in a list": []string{"\xff"},
		"default in a list": []any{Default{1}}, "frame": Frame{}, "instance": Instance{}, "complex": 1i, "zone": time.Now().In(berlin),
		"year": Naive{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "number": json.Number("x"), "decimal": Decimal("1_0"),
		"exponent": Decimal("1e99999999999"), "no digits": Decimal("."), "empty": Decimal(""), "date": Date("2024-1-2"),
		"no year": Date("0000-01-01"), "time": TimeOfDay("03:04:05+02:00"), "uuid": UUID("x"), "two in a set": SetOf[int]{1, 2},
	} {
		entry := New(unused, Caching24, "").Memo("shop.total", value, Default{value})
		isUsage(t, entry.err)
		if entry.call != nil {
			t.Errorf("%s has a call", name)
		}
	}
}

func TestDefaultsThatPythonTakesAsFalse(t *testing.T) {
	for _, value := range []any{
		nil, false, 0, uint8(0), 0.0, math.Copysign(0, -1), "", []byte{}, []int(nil), Tuple{}, Dict{}, map[string]int{}, Decimal("0E+3"),
		Decimal("-0.00"), big.NewInt(0), (*big.Int)(nil), time.Duration(0), complex(0, 0), FrozenSet{},
	} {
		if !isFalse(value) {
			t.Errorf("%#v is true", value)
		}
	}
	for _, value := range []any{true, 1, -1.5, "0", math.NaN(), Decimal("NaN"), Decimal("0.001"), Decimal("1e-9"), time.Now(), point{}, Set{0}} {
		if isFalse(value) {
			t.Errorf("%#v is false", value)
		}
	}
}
