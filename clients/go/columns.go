package flaskcache

import (
	"math"
	"reflect"
	"strings"
	"time"
)

// ColumnOf reads a column of a frame. T is a pointer, such as *float64, where values may be missing. A column of
// datetimes is read as [time.Time] or [Naive], one of timedeltas as [time.Duration], one of Arrow's dates as [Date]. All
// these can also be read as the values that the frame has.
func ColumnOf[T any](frame Frame, name string) ([]T, error) {
	for _, column := range frame.Columns {
		if column.Name != name {
			continue
		}
		values := make([]T, len(column.Values))
		for index, value := range column.Values {
			at := root.field(name).item(index)
			if err := assignTo(&values[index], timeOf[T](column.Dtype, value), at); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	return nil, wrong("the frame has no column %q", name)
}

var units = map[string]time.Duration{
	"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond,
}

// timeOf is the time that a value of a column stands for, if T is one. Otherwise it is the value.
func timeOf[T any](dtype string, value any) any {
	wanted := reflect.TypeFor[T]()
	if wanted.Kind() == reflect.Pointer {
		wanted = wanted.Elem()
	}
	unit, isLength := strings.CutPrefix(dtype, "timedelta64[")
	switch held := value.(type) {
	case string:
		isTime := strings.HasPrefix(dtype, "datetime64[") || strings.HasPrefix(dtype, "timestamp[") // the latter is Arrow's
		if wanted == reflect.TypeFor[Date]() && strings.HasPrefix(dtype, "date32[") {
			return Date(held)
		}
		if isTime && (wanted == reflect.TypeFor[time.Time]() || wanted == reflect.TypeFor[Naive]()) {
			return Tagged{"py/datetime", held}
		}
	case int64:
		length := units[strings.TrimSuffix(unit, "]")]
		if isLength && wanted == reflect.TypeFor[time.Duration]() && length != 0 && fits(held, length) {
			return time.Duration(held) * length
		}
	}
	return value
}

// fits reports whether Go has so long a duration.
func fits(count int64, unit time.Duration) bool {
	return count <= math.MaxInt64/int64(unit) && count >= math.MinInt64/int64(unit)
}
