package flaskcache

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	finite  = regexp.MustCompile(`^([-+]?)(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$`)
	special = regexp.MustCompile(`^([-+]?)(?i:(inf)(?:inity)?|(s?nan)(\d*))$`)
)

// canonical is the text that Python prints for a Decimal, such as 1E+3 for 1e3.
func (value Decimal) canonical() (string, error) {
	if parts := special.FindStringSubmatch(string(value)); parts != nil {
		names := map[string]string{"inf": "Infinity", "nan": "NaN", "snan": "sNaN"}
		return minus(parts[1]) + names[strings.ToLower(parts[2]+parts[3])] + strings.TrimLeft(parts[4], "0"), nil
	}
	digits, exponent, err := value.parts()
	if err != nil {
		return "", err
	}
	left := exponent + len(digits) // digits in front of the point
	point := 1
	if exponent <= 0 && left > -6 {
		point = left
	}
	sign := minus(string(value[:1]))
	switch {
	case point <= 0:
		digits = "0." + strings.Repeat("0", -point) + digits
	case point < len(digits):
		digits = digits[:point] + "." + digits[point:]
	}
	if left != point {
		digits += fmt.Sprintf("E%+d", left-point)
	}
	return sign + digits, nil
}

// parts are the digits of a finite Decimal without zeros in front, and its exponent.
func (value Decimal) parts() (string, int, error) {
	parts := finite.FindStringSubmatch(string(value))
	if parts == nil || parts[2]+parts[3] == "" {
		return "", 0, wrong("%q is not the text of a Decimal", string(value))
	}
	exponent, err := strconv.ParseInt(cmp.Or(parts[4], "0"), 10, 32)
	if err != nil {
		return "", 0, wrong("the exponent of the Decimal %q is too large", string(value))
	}
	digits := strings.TrimLeft(parts[2]+parts[3], "0")
	if digits == "" {
		digits = "0"
	}
	return digits, int(exponent) - len(parts[3]), nil
}

func (value Decimal) isZero() bool {
	digits, _, err := value.parts()
	return err == nil && digits == "0"
}

func minus(sign string) string {
	if sign == "-" {
		return "-"
	}
	return ""
}
