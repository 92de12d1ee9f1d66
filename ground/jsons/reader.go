package jsons

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader reads one text, one reader at a time: it is for one goroutine. The zero value is ready for Reset.
type Reader struct {
	jsontext.Decoder
	data []byte
	text bytes.Buffer // jsontext reads where it is what a buffer of this type holds
}

var (
	readers = sync.Pool{New: func() any { return new(Reader) }}
	nothing = strings.NewReader("")
)

// Read returns a reader of data, which must not change until Free. Call Free when done.
func Read(data []byte) *Reader {
	r := readers.Get().(*Reader)
	r.Reset(data)
	return r
}

// Free gives a reader back that Read returned. It must not be used any more; what its Value returned may.
func (r *Reader) Free() {
	r.Forget()
	readers.Put(r)
}

// Reset begins to read data, which must not change until Forget or the next Reset.
func (r *Reader) Reset(data []byte) {
	r.data, r.text = data, *bytes.NewBuffer(data)
	r.Decoder.Reset(&r.text)
}

// Forget lets go of the text.
func (r *Reader) Forget() {
	r.Decoder.Reset(nothing)
	r.data, r.text = nil, bytes.Buffer{}
}

// Value reads the next value, or the name of a member, as it stands in the text and in the text's memory. The error is that of ReadValue.
func (r *Reader) Value() ([]byte, error) {
	v, err := r.ReadValue()
	if err != nil {
		return nil, err
	}
	end := r.InputOffset()
	return r.data[end-int64(len(v)) : end : end], nil
}

// End reports whether nothing but white space follows what was read.
func (r *Reader) End() bool {
	_, err := r.ReadToken()
	return errors.Is(err, io.EOF)
}
