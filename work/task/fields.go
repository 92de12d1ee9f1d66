package task

import "encoding/binary"

// Fields takes the fields of a frame or a record off its bytes, one after
// another. After the first that is not there, or beyond its bound, Bad is set and everything
// else is empty.
type Fields struct {
	Rest []byte
	Bad  bool
}

func (f *Fields) fail() { f.Rest, f.Bad = nil, true }

// Byte takes one byte.
func (f *Fields) Byte() byte {
	if len(f.Rest) == 0 {
		f.fail()
		return 0
	}
	c := f.Rest[0]
	f.Rest = f.Rest[1:]
	return c
}

// Uvarint takes a number that is at most most.
func (f *Fields) Uvarint(most uint64) uint64 {
	n, size := binary.Uvarint(f.Rest)
	if size <= 0 || n > most {
		f.fail()
		return 0
	}
	f.Rest = f.Rest[size:]
	return n
}

// Bytes takes bytes with their length before them; they are a part of the rest.
func (f *Fields) Bytes() []byte { return f.take(f.Uvarint(maxField)) }

// Text takes text as AppendText wrote it.
func (f *Fields) Text() string { return string(f.Bytes()) }

// Value takes a value as AppendValue wrote it; its bytes are a part of the rest.
func (f *Fields) Value() Value {
	n := f.Uvarint(2*maxField + 1)
	return Value{Data: f.take(n >> 1), Ref: n&1 != 0}
}

// maxField is beyond any frame: what is longer cannot be there.
const maxField = 1 << 40

func (f *Fields) take(n uint64) []byte {
	if uint64(len(f.Rest)) < n {
		f.fail()
		return nil
	}
	v := f.Rest[:n:n]
	f.Rest = f.Rest[n:]
	return v
}

// AppendText appends text with its length before it.
func AppendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
