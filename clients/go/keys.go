package flaskcache

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const viewPrefix = "view/%s" // the default key_prefix of @cache.cached()

var (
	defaultRepr = regexp.MustCompile(` at 0x[0-9A-Fa-f]+>`)
	fullName    = regexp.MustCompile(`^[^\s().:/-][^\s():/]*\.[^\s().:/]+$`)
	controls    = regexp.MustCompile(`[\x00-\x1f\x7f]`)
)

// placed returns the part of a view's key behind CACHE_KEY_PREFIX, with the path in the place of %s.
func placed(keyPrefix, path string) (string, error) {
	if defaultRepr.MatchString(keyPrefix) {
		return "", wrong("only the app knows what a callable key_prefix returns: give that text")
	}
	before, after, hasPath := strings.Cut(keyPrefix, "%s")
	if !hasPath {
		return keyPrefix, nil
	}
	if hasPercent(before) || hasPercent(after) {
		return "", wrong("Python cannot format the key_prefix %q: next to its one %%s, write another %% as %%%%", keyPrefix)
	}
	decoded, err := decodedPath(path)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(before, "%%", "%") + decoded + strings.ReplaceAll(after, "%%", "%"), nil
}

// hasPercent reports whether a text has a % that is not doubled.
func hasPercent(text string) bool { return strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") }

// decodedPath is Flask's request.path for the path of a URL.
func decodedPath(path string) (string, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "", wrong("the path %q does not begin with /", path)
	case controls.MatchString(path):
		return "", wrong("the path %q has a control character: escape it as in a URL", path)
	case strings.ContainsAny(path, "?#"):
		return "", wrong("the path %q has a query: use Query, or write a ? or # of the path itself as %%3F or %%23", path)
	}
	return replaced(unescaped(path)), checkText(path)
}

// replaced puts U+FFFD in the place of each maximal part that is not UTF-8, as Python does.
func replaced(text string) string {
	var made strings.Builder
	for len(text) > 0 {
		char, size := utf8.DecodeRuneInString(text)
		if char == utf8.RuneError && size == 1 {
			for size < len(text) && !utf8.FullRuneInString(text[:size+1]) {
				size++
			}
		}
		made.WriteRune(char)
		text = text[size:]
	}
	return made.String()
}

// queryHash is the hash of the query's pairs, as Flask-Caching computes it.
func queryHash(library Library, query string) (string, error) {
	pairs, err := queryPairs(strings.TrimPrefix(query, "?"))
	if err != nil {
		return "", err
	}
	shown := make([]string, len(pairs))
	for at, pair := range pairs {
		shown[at] = reprTuple([]string{reprText(pair[0]), reprText(pair[1])})
	}
	return hex.EncodeToString(library.sum(reprTuple(shown))), nil
}

// queryPairs splits a query as Werkzeug does, which differs from net/url in ; and in broken escapes.
func queryPairs(query string) ([][2]string, error) {
	if controls.MatchString(query) || strings.Contains(query, "#") {
		return nil, wrong("the query %q has a control character or a #: escape it as in a URL", query)
	}
	if err := checkText(query); err != nil { // which an escape in front of a part of it could make whole
		return nil, err
	}
	var pairs [][2]string
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pair := [2]string{unescaped(spaced(name)), unescaped(spaced(value))}
		if !utf8.ValidString(pair[0]) || !utf8.ValidString(pair[1]) {
			return nil, wrong("the decoded query is not UTF-8, which each version of Werkzeug reads differently")
		}
		pairs = append(pairs, pair)
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return pairs, nil
}

func spaced(text string) string { return strings.ReplaceAll(text, "+", " ") }

// unescaped decodes the valid escapes of a part of a URL, and keeps the others, as Python does.
func unescaped(text string) string {
	var decoded strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '%' && at+2 < len(text) {
			if code, err := hex.DecodeString(text[at+1 : at+3]); err == nil {
				decoded.Write(code)
				at += 2
				continue
			}
		}
		decoded.WriteByte(text[at])
	}
	return decoded.String()
}

func fragmentKey(prefix, name string, varyOn []string) (string, error) {
	parts := strings.Join(append([]string{name}, varyOn...), "_")
	if defaultRepr.MatchString(parts) {
		return "", wrong("the text of the fragment %q contains an address, which no other process has", name)
	}
	return prefix + "_template_fragment_cache_" + parts, nil
}

// versionKeys are the keys of a memoized function's versions: of the function, and of a method's object.
func versionKeys(library Library, prefix string, call *call) []string {
	keys := []string{prefix + library.stripped(call.function) + "_memver"}
	if call.self != "" {
		keys = append(keys, prefix+library.stripped(call.function+"."+call.self)+"_memver")
	}
	return keys
}

func resultKey(library Library, prefix string, call *call, version string) string {
	sum := library.sum(library.stripped(call.function) + reprTuple(call.shown) + call.keywords)
	return prefix + base64.StdEncoding.EncodeToString(sum)[:16] + version
}

func (library Library) stripped(name string) string {
	if !library.strips {
		return name
	}
	return strings.Map(func(char rune) rune {
		isPlain := char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9'
		if isPlain || char == '_' || char == '.' || char > 0xff {
			return char
		}
		return -1
	}, name)
}
