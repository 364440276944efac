package flaskcache

import (
	"bytes"
	"io"
	"math/big"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// msgpackFormat is msgpack as the proxy reads and writes it.
type msgpackFormat struct{}

func (msgpackFormat) read(payload []byte) (tree, error) {
	rest := bytes.NewReader(payload)
	value, err := msgpackReader{msgpack.NewDecoder(rest), rest}.value(root, 0)
	if err != nil {
		return nil, err
	}
	if rest.Len() > 0 {
		return nil, invalid("$", "bytes follow the msgpack value: is this the proxy's msgpack port?")
	}
	return value, nil
}

// A msgpackReader makes a tree. It takes no length from the payload for granted.
type msgpackReader struct {
	*msgpack.Decoder
	rest *bytes.Reader // of the payload, from which the decoder reads
}

func (from msgpackReader) value(at *place, depth int) (tree, error) {
	if depth++; depth > deepest {
		return nil, invalid(at.String(), "nests deeper than %d levels", deepest)
	}
	code, err := from.PeekCode()
	if err != nil {
		return nil, malformed(at, err)
	}
	switch {
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		return from.object(at, depth)
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		return from.list(at, depth)
	case msgpcode.IsString(code):
		return from.text(at)
	case msgpcode.IsBin(code):
		return from.bytes(at)
	case msgpcode.IsExt(code):
		return nil, invalid(at.String(), "an ext type of msgpack, which the proxy does not write")
	}
	value, err := from.DecodeInterfaceLoose()
	if err != nil {
		return nil, malformed(at, err)
	}
	if number, isUint := value.(uint64); isUint {
		return fromUint(number), nil
	}
	return value, nil // nil, bool, int64 or float64
}

// bytes reads the content of a text or of bytes. The decoder itself would make room for a length that is not there.
func (from msgpackReader) bytes(at *place) ([]byte, error) {
	count, err := from.DecodeBytesLen()
	if err != nil {
		return nil, malformed(at, err)
	}
	if count < 0 || count > from.rest.Len() {
		return nil, malformed(at, io.ErrUnexpectedEOF)
	}
	content := make([]byte, count)
	if err := from.ReadFull(content); err != nil {
		return nil, malformed(at, err)
	}
	return content, nil
}

func (from msgpackReader) text(at *place) (tree, error) {
	content, err := from.bytes(at)
	if err != nil {
		return nil, err
	}
	return text(string(content), at)
}

func malformed(at *place, err error) error {
	return invalid(at.String(), "the payload is no msgpack: is this the proxy's msgpack port? %v", err)
}

func fromUint(number uint64) tree {
	if int64(number) >= 0 {
		return int64(number)
	}
	return new(big.Int).SetUint64(number)
}

func (from msgpackReader) list(at *place, depth int) (tree, error) {
	count, err := from.DecodeArrayLen()
	if err != nil {
		return nil, malformed(at, err)
	}
	values := []any{} // no room for a count that the payload only claims
	for index := range count {
		value, err := from.value(at.item(index), depth)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// object reads a map, whose keys the proxy writes as text only.
func (from msgpackReader) object(at *place, depth int) (tree, error) {
	count, err := from.DecodeMapLen()
	if err != nil {
		return nil, malformed(at, err)
	}
	read := &object{}
	for range count {
		code, err := from.PeekCode()
		if err == nil && !msgpcode.IsString(code) {
			return nil, invalid(at.String(), "a key of a map is no text, which the proxy does not write")
		}
		name, err := from.text(at)
		if err != nil {
			return nil, err
		}
		value, err := from.value(at.field(name.(string)), depth)
		if err != nil {
			return nil, err
		}
		read.add(name.(string), value)
	}
	return tagged(read), nil
}

func (msgpackFormat) write(value tree) ([]byte, error) {
	var to bytes.Buffer
	err := writeMsgpack(msgpack.NewEncoder(&to), value)
	return to.Bytes(), err
}

func writeMsgpack(to *msgpack.Encoder, value tree) error {
	switch value := value.(type) {
	case nil:
		return to.EncodeNil()
	case bool:
		return to.EncodeBool(value)
	case int64:
		return to.EncodeInt(value)
	case *big.Int:
		if value.IsUint64() {
			return to.EncodeUint(value.Uint64())
		}
		return writeMsgpack(to, &tag{"py/int", value.String()})
	case float64:
		return to.EncodeFloat64(value)
	case string:
		return to.EncodeString(value)
	case raw:
		return to.EncodeBytes(value)
	case []byte:
		return to.EncodeBytes(value)
	case *tag:
		return writeMap(to, []string{value.name}, []tree{value.content})
	case []any:
		if err := to.EncodeArrayLen(len(value)); err != nil {
			return err
		}
		for _, each := range value {
			if err := writeMsgpack(to, each); err != nil {
				return err
			}
		}
		return nil
	case *object:
		return writeMap(to, value.names, value.values)
	}
	panic("no such tree") // a defect of this package
}

func writeMap(to *msgpack.Encoder, names []string, values []tree) error {
	if err := to.EncodeMapLen(len(names)); err != nil {
		return err
	}
	for at, name := range names {
		if err := to.EncodeString(name); err != nil {
			return err
		}
		if err := writeMsgpack(to, values[at]); err != nil {
			return err
		}
	}
	return nil
}
