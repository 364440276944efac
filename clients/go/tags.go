package flaskcache

import (
	"encoding/base64"
	"math"
	"math/big"
	"time"
)

func contentObject(value *tag, at *place) (*object, error) {
	content, isObject := value.content.(*object)
	if !isObject {
		return nil, malformedTag(value, at)
	}
	return content, nil
}

func readInt(value *tag, at *place) (any, error) {
	content, isText := value.content.(string)
	if !isText {
		return nil, malformedTag(value, at)
	}
	return integer(content, at)
}

var specialFloats = map[tree]float64{"nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1)}

func readFloat(value *tag, at *place) (any, error) {
	switch content := value.content.(type) {
	case string:
		if special, isSpecial := specialFloats[content]; isSpecial {
			return special, nil
		}
	case float64:
		return content, nil
	case int64:
		return float64(content), nil
	}
	return nil, malformedTag(value, at)
}

func bytesOf(value *tag, at *place) ([]byte, error) {
	switch content := value.content.(type) {
	case []byte:
		return content, nil
	case string:
		if decoded, err := base64.StdEncoding.DecodeString(content); err == nil {
			return decoded, nil
		}
	}
	return nil, malformedTag(value, at)
}

func readBytes(value *tag, at *place) (any, error) {
	content, err := bytesOf(value, at)
	return content, err
}

func readByteArray(value *tag, at *place) (any, error) {
	content, err := bytesOf(value, at)
	return ByteArray(content), err
}

const naiveLayout = "2006-01-02T15:04:05"

// instant reads a datetime with an offset. Fractions of a second need no place in the layout.
func instant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, naiveLayout + "Z07:00:00"} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func readDatetime(value *tag, at *place) (any, error) {
	content, isText := value.content.(string)
	if !isText {
		return nil, malformedTag(value, at)
	}
	if aware, isAware := instant(content); isAware {
		return aware, nil
	}
	if naive, err := time.Parse(naiveLayout, content); err == nil {
		return Naive{naive}, nil
	}
	return Tagged{value.name, content}, nil // an offset with microseconds, which Go does not have
}

func readZoned(value *tag, at *place) (any, error) {
	content, err := contentObject(value, at)
	if err != nil {
		return nil, err
	}
	text, _ := content.get("at").(string)
	zone, _ := content.get("zone").(string)
	moment, isAware := instant(text)
	if !isAware || zone == "" {
		return nil, malformedTag(value, at)
	}
	return Zoned{moment, zone}, nil
}

func readTimedelta(value *tag, at *place) (any, error) {
	content, isList := value.content.([]any)
	if !isList || len(content) != 3 {
		return nil, malformedTag(value, at)
	}
	total := new(big.Int)
	for index, unit := range []time.Duration{perDay, time.Second, time.Microsecond} {
		count, isInt := content[index].(int64)
		if !isInt {
			return nil, malformedTag(value, at)
		}
		total.Add(total, new(big.Int).Mul(big.NewInt(count), big.NewInt(int64(unit))))
	}
	if !total.IsInt64() { // of more than 292 years, which Go does not have
		return Tagged{value.name, content}, nil
	}
	return time.Duration(total.Int64()), nil
}

func readComplex(value *tag, at *place) (any, error) {
	content, isList := value.content.([]any)
	if !isList || len(content) != 2 {
		return nil, malformedTag(value, at)
	}
	var parts [2]float64
	for index, part := range content {
		if err := assignTree(&parts[index], part, at.item(index)); err != nil {
			return nil, err
		}
	}
	return complex(parts[0], parts[1]), nil
}

func readResponse(value *tag, at *place) (any, error) {
	content, err := contentObject(value, at)
	if err != nil {
		return nil, err
	}
	made := Response{}
	if err := assignTree(&made.Status, content.get("status"), at.field("status")); err != nil {
		return nil, err
	}
	if err := assignTree(&made.Headers, content.get("headers"), at.field("headers")); err != nil {
		return nil, err
	}
	switch body := content.get("body").(type) {
	case string:
		made.Body = []byte(body)
	case []byte:
		made.Body = body
	case *tag:
		if body.name == "py/bytes" {
			made.Body, err = bytesOf(body, at.field("body"))
			return made, err
		}
	}
	if made.Body == nil {
		err = malformedTag(value, at)
	}
	return made, err
}

func readInstance(value *tag, at *place) (any, error) {
	content, err := contentObject(value, at)
	if err != nil {
		return nil, err
	}
	class, _ := content.get("class").(string)
	again, _ := content.get("again").(bool)
	held, err := natural(content.get("value"), at)
	return Instance{class, held, again}, err
}

func readCycle(value *tag, at *place) (any, error) {
	up, isInt := value.content.(int64)
	if !isInt {
		return nil, malformedTag(value, at)
	}
	return Cycle(up), nil
}
