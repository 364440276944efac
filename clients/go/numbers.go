package flaskcache

import (
	"encoding/binary"
	"math"
)

// numbersOf reads the values of an array. In msgpack, numbers are little-endian bytes.
func numbersOf(dtype string, values tree, at *place) ([]any, error) {
	content, isBinary := values.([]byte)
	if list, isList := values.([]any); isList {
		return naturalList(list, at)
	}
	read := binaryNumbers[dtype]
	if !isBinary || read.size == 0 || len(content)%read.size != 0 {
		return nil, invalid(at.String(), "an array of %.64s that this package does not understand", dtype)
	}
	made := make([]any, len(content)/read.size)
	for index := range made {
		made[index] = read.one(content[index*read.size:])
	}
	return made, nil
}

type binaryNumber struct {
	size int
	one  func([]byte) any
}

var binaryNumbers = map[string]binaryNumber{
	"int16":   {2, func(from []byte) any { return int64(int16(binary.LittleEndian.Uint16(from))) }},
	"int32":   {4, func(from []byte) any { return int64(int32(binary.LittleEndian.Uint32(from))) }},
	"int64":   {8, func(from []byte) any { return int64(binary.LittleEndian.Uint64(from)) }},
	"uint16":  {2, func(from []byte) any { return int64(binary.LittleEndian.Uint16(from)) }},
	"uint32":  {4, func(from []byte) any { return int64(binary.LittleEndian.Uint32(from)) }},
	"uint64":  {8, func(from []byte) any { return fromUint(binary.LittleEndian.Uint64(from)) }},
	"float16": {2, func(from []byte) any { return half(binary.LittleEndian.Uint16(from)) }},
	"float32": {4, func(from []byte) any { return float64(math.Float32frombits(binary.LittleEndian.Uint32(from))) }},
	"float64": {8, func(from []byte) any { return math.Float64frombits(binary.LittleEndian.Uint64(from)) }},
}

// half is a float of 16 bits: a sign, 5 bits of exponent, 10 of fraction.
func half(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10&31), float64(bits&1023)
	if bits&0x8000 != 0 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
