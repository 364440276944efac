package flaskcache

import (
	"strconv"
	"strings"
)

// minor is the second number of a version of Python 3.
func minor(version string) (int, error) {
	parts := strings.Split(version, ".")
	if len(parts) >= 2 && parts[0] == "3" {
		if number, err := strconv.Atoi(parts[1]); err == nil && number >= 0 {
			return number, nil
		}
	}
	return 0, wrong("%q is no version of Python 3, such as 3.12", version)
}

// printsBraces reports whether this Python prints an OrderedDict with braces.
func printsBraces(version string) bool {
	number, err := minor(version)
	return err == nil && number >= 12
}
