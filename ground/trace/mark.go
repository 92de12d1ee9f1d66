package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
)

// mark is a context with all that a request is known by, in one piece: every request has one.
type mark struct {
	context.Context
	id    string
	place Place
}

type key struct{}

func (m *mark) Value(k any) any {
	if k == (key{}) {
		return m
	}
	return m.Context.Value(k)
}

// Mark returns a context of the request id, which may be empty, at a place in a trace, which may be none.
func Mark(ctx context.Context, id string, place Place) context.Context {
	return &mark{ctx, id, place}
}

func of(ctx context.Context) *mark {
	m, _ := ctx.Value(key{}).(*mark)
	return m
}

// RequestID is that of the request that a context is of; empty for none.
func RequestID(ctx context.Context) string {
	if m := of(ctx); m != nil {
		return m.id
	}
	return ""
}

// Inject passes on what a context is known by: it calls set with each header field that there is something to say in.
func Inject(ctx context.Context, set func(name, value string)) {
	if id := RequestID(ctx); id != "" {
		set(RequestField, id)
	}
	if place := From(ctx); place.Valid() {
		set(ParentField, place.String())
		if place.State != "" {
			set(StateField, place.State)
		}
	}
}

// maxID is how long an id from outside may be.
const maxID = 128

// GoodRequestID says whether an id from outside can be passed on, and written to a log as it is.
func GoodRequestID(id string) bool { return id != "" && len(id) <= maxID && visible(id) }

// prefix is different in each process.
var prefix = sync.OnceValue(func() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + "-"
})

var made atomic.Uint64

// NewRequestID makes an id: the process's own part, and a number. It is no secret.
func NewRequestID() string {
	b := append(make([]byte, 0, 32), prefix()...)
	return string(strconv.AppendUint(b, made.Add(1), 10))
}
