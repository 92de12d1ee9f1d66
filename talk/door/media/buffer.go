package media

import (
	"bytes"
	"sync"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept is how large a buffer may be to be kept.
const maxKept = 64 << 10

// Buffer returns an empty buffer for a body or an answer, which may have been used before. GiveBack takes it when it is done with.
func Buffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

// GiveBack takes a buffer for others to use. Nobody may have anything of what is in it.
func GiveBack(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}
