package flaskcache

import (
	"fmt"
	"strings"
	"time"
)

// reprMoment prints the types of Python's datetime.
func reprMoment(value any) (string, error) {
	switch value := value.(type) {
	case Date:
		day, err := time.Parse(time.DateOnly, string(value))
		if err != nil || day.Year() < 1 {
			return "", wrong("%q is not a date such as 2024-01-02", string(value))
		}
		return fmt.Sprintf("datetime.date(%d, %d, %d)", day.Year(), day.Month(), day.Day()), nil
	case TimeOfDay:
		at, err := time.Parse(time.TimeOnly, string(value))
		if err != nil {
			return "", wrong("%q is not a time such as 03:04:05, or has an offset, which Python prints in several ways", string(value))
		}
		return fmt.Sprintf("datetime.time(%d, %d%s)", at.Hour(), at.Minute(), reprSeconds(at)), nil
	case Naive:
		return reprTime(value.Time, "")
	case time.Duration:
		return reprDuration(value), nil
	}
	at := value.(time.Time)
	if _, offset := at.Zone(); offset != 0 {
		return "", wrong("how Python prints a datetime depends on the class of its zone: pass it in UTC, as the app does")
	}
	return reprTime(at, ", tzinfo=datetime.timezone.utc")
}

func reprTime(at time.Time, zone string) (string, error) {
	if at.Year() < 1 || at.Year() > 9999 {
		return "", wrong("Python has no datetime in the year %d", at.Year())
	}
	return fmt.Sprintf("datetime.datetime(%d, %d, %d, %d, %d%s%s)",
		at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), reprSeconds(at), zone), nil
}

// reprSeconds leaves out what is 0, as Python does.
func reprSeconds(at time.Time) string {
	microseconds := at.Nanosecond() / 1000
	switch {
	case microseconds != 0:
		return fmt.Sprintf(", %d, %d", at.Second(), microseconds)
	case at.Second() != 0:
		return fmt.Sprintf(", %d", at.Second())
	}
	return ""
}

func reprDuration(length time.Duration) string {
	var parts []string
	for at, count := range timedelta(length) {
		if count != int64(0) {
			parts = append(parts, fmt.Sprintf("%s=%d", [...]string{"days", "seconds", "microseconds"}[at], count))
		}
	}
	if parts == nil {
		parts = []string{"0"}
	}
	return "datetime.timedelta(" + strings.Join(parts, ", ") + ")"
}
