package flaskcache

import "reflect"

func assignTree(into any, value tree, at *place) error {
	return assign(reflect.ValueOf(into).Elem(), value, at)
}

// dtypeOf reads the content of a tag of numpy or pandas, and its dtype.
func dtypeOf(value *tag, at *place) (*object, string, error) {
	content, err := contentObject(value, at)
	if err != nil {
		return nil, "", err
	}
	var dtype string
	err = assignTree(&dtype, content.get("dtype"), at.field("dtype"))
	return content, dtype, err
}

func readScalar(value *tag, at *place) (any, error) {
	content, dtype, err := dtypeOf(value, at)
	if err != nil {
		return nil, err
	}
	held, err := natural(content.get("value"), at)
	return Scalar{dtype, held}, err
}

func readArrayOf(value *tag, at *place) (any, error) {
	content, dtype, err := dtypeOf(value, at)
	if err != nil {
		return nil, err
	}
	made := Array{Dtype: dtype}
	if err := assignTree(&made.Shape, content.get("shape"), at.field("shape")); err != nil {
		return nil, err
	}
	made.Values, err = numbersOf(dtype, content.get("values"), at.field("values"))
	return made, err
}

func readTimestamp(value *tag, at *place) (any, error) {
	switch content := value.content.(type) {
	case string:
		return Timestamp{At: content}, nil
	case *object:
		text, isText := content.get("at").(string)
		zone, isZone := content.get("zone").(string)
		if isText && isZone {
			return Timestamp{text, zone}, nil
		}
	}
	return nil, malformedTag(value, at)
}

func readSeries(value *tag, at *place) (any, error) {
	content, dtype, err := dtypeOf(value, at)
	if err != nil {
		return nil, err
	}
	made := Series{Dtype: dtype}
	if made.Name, err = natural(content.get("name"), at.field("name")); err != nil {
		return nil, err
	}
	if made.Index, err = readIndex(content.get("index"), at.field("index")); err != nil {
		return nil, err
	}
	made.Values, err = numbersOf(dtype, content.get("values"), at.field("values"))
	return made, err
}

func readFrame(value *tag, at *place) (any, error) {
	content, err := contentObject(value, at)
	if err != nil {
		return nil, err
	}
	made := Frame{}
	if err := assignTree(&made.Rows, content.get("rows"), at.field("rows")); err != nil {
		return nil, err
	}
	if made.Index, err = readIndex(content.get("index"), at.field("index")); err != nil {
		return nil, err
	}
	columns, isList := content.get("columns").([]any)
	if !isList {
		return nil, malformedTag(value, at)
	}
	for index, each := range columns {
		column, err := readColumn(each, at.field("columns").item(index))
		if err != nil {
			return nil, err
		}
		made.Columns = append(made.Columns, column)
	}
	return made, nil
}

func readColumn(value tree, at *place) (Column, error) {
	content, isObject := value.(*object)
	if !isObject {
		return Column{}, invalid(at.String(), "a column that is no object")
	}
	made := Column{}
	err := assignTree(&made.Dtype, content.get("dtype"), at.field("dtype"))
	if err == nil {
		made.Name, err = natural(content.get("name"), at.field("name"))
	}
	if err == nil {
		made.Values, err = numbersOf(made.Dtype, content.get("values"), at.field("values"))
	}
	return made, err
}

// readIndex reads an index, by which of its forms it has.
func readIndex(value tree, at *place) (Index, error) {
	content, isObject := value.(*object)
	if !isObject {
		return Index{}, invalid(at.String(), "an index that is no object")
	}
	made := Index{}
	if limits := content.get("range"); limits != nil {
		made.Range = new([3]int)
		return made, assignTree(made.Range, limits, at.field("range"))
	}
	if levels, isMulti := content.get("levels").([]any); isMulti {
		return readLevels(content, levels, at)
	}
	column, err := readColumn(value, at)
	made.Name, made.Dtype, made.Values = column.Name, column.Dtype, column.Values
	return made, err
}

func readLevels(content *object, levels []any, at *place) (Index, error) {
	made := Index{}
	if err := assignTree(&made.Names, content.get("names"), at.field("names")); err != nil {
		return made, err
	}
	for index, each := range levels {
		level, err := readIndex(each, at.field("levels").item(index))
		if err != nil {
			return made, err
		}
		made.Levels = append(made.Levels, level)
	}
	return made, assignTree(&made.Codes, content.get("codes"), at.field("codes"))
}
