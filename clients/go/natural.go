package flaskcache

// natural returns a value of Python as the Go type that this package has for it.
func natural(value tree, at *place) (any, error) {
	switch value := value.(type) {
	case []any:
		return naturalList(value, at)
	case *object:
		made := make(map[string]any, len(value.names))
		for index, name := range value.names {
			each, err := natural(value.values[index], at.field(name))
			if err != nil {
				return nil, err
			}
			made[name] = each
		}
		return made, nil
	case *tag:
		if read := tags[value.name]; read != nil {
			return read(value, at)
		}
		content, err := natural(value.content, at.field(value.name))
		return Tagged{value.name, content}, err
	}
	return value, nil
}

func naturalList(values []any, at *place) ([]any, error) {
	made := make([]any, len(values))
	for index, each := range values {
		value, err := natural(each, at.item(index))
		if err != nil {
			return nil, err
		}
		made[index] = value
	}
	return made, nil
}

var tags map[string]func(value *tag, at *place) (any, error)

func init() { // the table's functions use the table
	tags = map[string]func(*tag, *place) (any, error){
		"py/int":         readInt,
		"py/float":       readFloat,
		"py/bytes":       readBytes,
		"py/bytearray":   readByteArray,
		"py/tuple":       listOf(func(values []any) any { return Tuple(values) }),
		"py/set":         listOf(func(values []any) any { return Set(values) }),
		"py/frozenset":   listOf(func(values []any) any { return FrozenSet(values) }),
		"py/dict":        pairsAs(func(pairs []Pair) any { return Dict(pairs) }),
		"py/ordereddict": pairsAs(func(pairs []Pair) any { return OrderedDict(pairs) }),
		"py/decimal":     textAs(func(text string) any { return Decimal(text) }),
		"py/uuid":        textAs(func(text string) any { return UUID(text) }),
		"py/markup":      textAs(func(text string) any { return Markup(text) }),
		"py/date":        textAs(func(text string) any { return Date(text) }),
		"py/time":        textAs(func(text string) any { return TimeOfDay(text) }),
		"py/global":      textAs(func(text string) any { return Global(text) }),
		"py/datetime":    readDatetime,
		"py/zoned":       readZoned,
		"py/timedelta":   readTimedelta,
		"py/complex":     readComplex,
		"py/response":    readResponse,
		"py/instance":    readInstance,
		"py/cycle":       readCycle,
		"py/numpy":       readScalar,
		"py/ndarray":     readArrayOf,
		"py/timestamp":   readTimestamp,
		"py/series":      readSeries,
		"py/dataframe":   readFrame,
	}
}

func malformedTag(value *tag, at *place) error {
	return invalid(at.String(), "a %s that this package does not understand: is the proxy newer?", value.name)
}

func listOf(make func([]any) any) func(*tag, *place) (any, error) {
	return func(value *tag, at *place) (any, error) {
		content, isList := value.content.([]any)
		if !isList {
			return nil, malformedTag(value, at)
		}
		values, err := naturalList(content, at)
		return make(values), err
	}
}

func textAs(make func(string) any) func(*tag, *place) (any, error) {
	return func(value *tag, at *place) (any, error) {
		content, isText := value.content.(string)
		if !isText {
			return nil, malformedTag(value, at)
		}
		return make(content), nil
	}
}

func pairsAs(make func([]Pair) any) func(*tag, *place) (any, error) {
	return func(value *tag, at *place) (any, error) {
		found, err := pairsOf(value, at)
		if err != nil {
			return nil, err
		}
		var pairs []Pair
		for index, each := range found {
			both, err := naturalList(each[:], at.item(index))
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, Pair{both[0], both[1]})
		}
		return make(pairs), nil
	}
}

// pairsOf is the content of a tag with pairs.
func pairsOf(value *tag, at *place) ([][2]tree, error) {
	content, isList := value.content.([]any)
	if !isList {
		return nil, malformedTag(value, at)
	}
	pairs := make([][2]tree, len(content))
	for index, each := range content {
		pair, isPair := each.([]any)
		if !isPair || len(pair) != 2 {
			return nil, malformedTag(value, at)
		}
		pairs[index] = [2]tree{pair[0], pair[1]}
	}
	return pairs, nil
}
