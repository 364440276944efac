package flaskcache

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonFormat is JSON as the proxy reads and writes it.
type jsonFormat struct{}

func (jsonFormat) read(payload []byte) (tree, error) {
	if !utf8.Valid(payload) {
		return nil, invalid("$", "the payload is not UTF-8: is this the proxy's JSON port?")
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	value, err := readJSON(decoder, root, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("$", "the payload is no JSON: is this the proxy's JSON port?")
	}
	return value, nil
}

func readJSON(decoder *json.Decoder, at *place, depth int) (tree, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, invalid(at.String(), "the payload is no JSON: is this the proxy's JSON port? %v", err)
	}
	switch token := token.(type) {
	case json.Number:
		return number(token.String(), at)
	case json.Delim:
		if depth++; depth > deepest {
			return nil, invalid(at.String(), "nests deeper than %d levels", deepest)
		}
		if token == '[' {
			return readArray(decoder, at, depth)
		}
		return readObject(decoder, at, depth)
	}
	return token, nil // nil, bool or string
}

func readArray(decoder *json.Decoder, at *place, depth int) (tree, error) {
	values := []any{}
	for decoder.More() {
		value, err := readJSON(decoder, at.item(len(values)), depth)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, closed(decoder, at)
}

func readObject(decoder *json.Decoder, at *place, depth int) (tree, error) {
	read := &object{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, invalid(at.String(), "the payload is no JSON: %v", err)
		}
		name, isText := token.(string)
		if !isText {
			return nil, invalid(at.String(), "the payload is no JSON: a key is no text")
		}
		value, err := readJSON(decoder, at.field(name), depth)
		if err != nil {
			return nil, err
		}
		read.add(name, value)
	}
	return tagged(read), closed(decoder, at)
}

func closed(decoder *json.Decoder, at *place) error {
	if _, err := decoder.Token(); err != nil {
		return invalid(at.String(), "the payload is no JSON: %v", err)
	}
	return nil
}

// number reads a number without losing a digit: with a fraction or an exponent it is a float, otherwise an int.
func number(text string, at *place) (tree, error) {
	if !json.Valid([]byte(text)) { // of a json.Number
		return nil, invalid(at.String(), "%.64q is no number", text)
	}
	if strings.ContainsAny(text, ".eE") {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, invalid(at.String(), "the number %.64s is too large", text)
		}
		return value, nil
	}
	return integer(text, at)
}

func integer(text string, at *place) (tree, error) {
	if value, err := strconv.ParseInt(text, 10, 64); err == nil {
		return value, nil
	}
	value, isInt := new(big.Int), false
	if len(text) <= longestInt {
		value, isInt = value.SetString(text, 10)
	}
	if !isInt {
		return nil, invalid(at.String(), "an int of %d characters is none, or is too long", len(text))
	}
	return value, nil
}

const longestInt = 4301 // characters; Python reads no more digits

func (jsonFormat) write(value tree) ([]byte, error) { return appendJSON(nil, value), nil }

func appendJSON(to []byte, value tree) []byte {
	switch value := value.(type) {
	case nil:
		return append(to, "null"...)
	case bool:
		return strconv.AppendBool(to, value)
	case int64:
		return strconv.AppendInt(to, value, 10)
	case *big.Int:
		return value.Append(to, 10)
	case float64:
		return appendFloat(to, value)
	case string:
		return appendText(to, value)
	case raw:
		to = append(to, '"')
		to = base64.StdEncoding.AppendEncode(to, value)
		return append(to, '"')
	case []byte:
		return appendJSON(to, &tag{"py/bytes", raw(value)})
	case *tag:
		return append(appendJSON(append(appendText(append(to, '{'), value.name), ':'), value.content), '}')
	case []any:
		to = append(to, '[')
		for at, each := range value {
			to = appendJSON(comma(to, at), each)
		}
		return append(to, ']')
	case *object:
		to = append(to, '{')
		for at, name := range value.names {
			to = append(appendText(comma(to, at), name), ':')
			to = appendJSON(to, value.values[at])
		}
		return append(to, '}')
	}
	panic("no such tree") // a defect of this package
}

func comma(to []byte, at int) []byte {
	if at > 0 {
		return append(to, ',')
	}
	return to
}

// appendFloat writes a float so that it is read as one: 2.0, not 2.
func appendFloat(to []byte, value float64) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return appendJSON(to, &tag{"py/float", reprFloat(value)})
	}
	return append(to, reprFloat(value)...)
}

const hexDigits = "0123456789abcdef"

func appendText(to []byte, text string) []byte {
	to = append(to, '"')
	for at := 0; at < len(text); at++ {
		switch char := text[at]; {
		case char == '"' || char == '\\':
			to = append(to, '\\', char)
		case char < 0x20:
			to = append(to, '\\', 'u', '0', '0', hexDigits[char>>4], hexDigits[char&15])
		default:
			to = append(to, char)
		}
	}
	return append(to, '"')
}
