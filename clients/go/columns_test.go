package flaskcache

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

var moments = Frame{Rows: 2, Columns: []Column{
	{"at", "datetime64[ns]", []any{"2024-01-02T03:04:05.123456789", nil}},
	{"here", "datetime64[us, Europe/Berlin]", []any{"2024-07-02T00:00:00.000000+02:00", nil}},
	{"arrow", "timestamp[us][pyarrow]", []any{"2024-07-02T00:00:00.000000", nil}},
	{"took", "timedelta64[ms]", []any{int64(1500), nil}},
	{"ages", "timedelta64[s]", []any{int64(1) << 60, int64(-1) << 60}},
	{"day", "date32[day][pyarrow]", []any{"2024-01-02", nil}},
	{"note", "object", []any{"2024-01-02", nil}},
}}

func column[T any](t *testing.T, name string, want T) {
	t.Helper()
	read, err := ColumnOf[*T](moments, name)
	if err != nil || len(read) != 2 || read[1] != nil || !reflect.DeepEqual(*read[0], want) {
		t.Errorf("%s: %v %v", name, read, err)
	}
}

func TestAColumnOfTimesIsReadAsTimes(t *testing.T) {
	column(t, "at", Naive{time.Date(2024, 1, 2, 3, 4, 5, 123456789, time.UTC)})
	column(t, "arrow", Naive{time.Date(2024, 7, 2, 0, 0, 0, 0, time.UTC)})
	column(t, "took", 1500*time.Millisecond)
	column(t, "took", int64(1500))
	column(t, "day", Date("2024-01-02"))
	column(t, "at", "2024-01-02T03:04:05.123456789")
	read, err := ColumnOf[*time.Time](moments, "here")
	if err != nil || !read[0].Equal(time.Date(2024, 7, 1, 22, 0, 0, 0, time.UTC)) || read[1] != nil {
		t.Error(read, err)
	}
}

func TestAColumnThatHasNoSuchTimesIsATypeError(t *testing.T) {
	_, naive := ColumnOf[*time.Time](moments, "at")
	_, missing := ColumnOf[Naive](moments, "at")
	_, text := ColumnOf[*Naive](moments, "note")
	_, day := ColumnOf[*Date](moments, "note")
	_, long := ColumnOf[time.Duration](moments, "ages")
	for at, err := range []error{naive, missing, text, day, long} {
		if typed := (*TypeError)(nil); !errors.As(err, &typed) {
			t.Errorf("error %d: %v", at, err)
		}
	}
}
