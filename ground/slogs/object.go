package slogs

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// Tag is the sort of event that a line tells of.
type Tag byte

// The tags.
const (
	Created   Tag = '+'
	Destroyed Tag = 'X'
	Sent      Tag = '>'
	Received  Tag = '<' // or dropped
	Started   Tag = '(' // a process
	Ended     Tag = ')'
	Console   Tag = '^'
	Warning   Tag = '?'
	Check     Tag = '='
	Fault     Tag = '!'
	Trace     Tag = '~'
	Sampled   Tag = '&'
	Debug     Tag = '_'
)

const tagKey, objectKey, sampleKey = "tag", "object", "sample"

// Attr gives a record the tag. Without, it has that of its level.
func (t Tag) Attr() slog.Attr { return slog.Any(tagKey, t) }

// MarshalText is the tag, for JSON and text.
func (t Tag) MarshalText() ([]byte, error) { return []byte{byte(t)}, nil }

func tagOf(l slog.Level) Tag {
	switch {
	case l >= LevelFault:
		return Fault
	case l >= LevelWarning:
		return Warning
	case l >= LevelConsole:
		return Console
	case l >= LevelTrace:
		return Trace
	}
	return Debug
}

// Object is who a line is of.
type Object struct {
	// Addr tells it apart from others in the process: see NextAddr.
	Addr uint32
	Name string
	// State, if it has one.
	State string
}

// String is the object as in a line: <00000010>crunch[READY].
func (o Object) String() string { return string(o.append(nil)) }

// MarshalText is String, for JSON and text.
func (o Object) MarshalText() ([]byte, error) { return o.append(nil), nil }

// Attr gives a record the object. It goes before that of the context, which goes before that of the handler.
func (o Object) Attr() slog.Attr { return slog.Any(objectKey, o) }

func (o Object) append(b []byte) []byte {
	b = appendAddr(b, o.Addr)
	b = appendWord(b, o.Name)
	if o.State != "" {
		b = append(b, '[')
		b = appendWord(b, o.State)
		b = append(b, ']')
	}
	return b
}

// Address is an address as in a line: <00000010>.
func Address(addr uint32) string { return string(appendAddr(nil, addr)) }

func appendAddr(b []byte, addr uint32) []byte { return fmt.Appendf(b, "<%08x>", addr) }

// Process is the address of the process itself.
const Process = 1

var lastAddr atomic.Uint32

// NextAddr is an address that no other object has, until there were four thousand million. The first is 0x10.
func NextAddr() uint32 { return lastAddr.Add(1) + 0xf }

type objectInContext struct{}

// With returns a context whose records are of an object.
func With(ctx context.Context, o Object) context.Context {
	return context.WithValue(ctx, objectInContext{}, o)
}

type peerInContext struct{}

// WithPeer returns a context of what came from an object, a connection for instance.
func WithPeer(ctx context.Context, addr uint32) context.Context {
	return context.WithValue(ctx, peerInContext{}, addr)
}

// Peer is the address that WithPeer has set, as in a line; that of the process without.
func Peer(ctx context.Context) string {
	addr, ok := ctx.Value(peerInContext{}).(uint32)
	if !ok {
		addr = Process
	}
	return Address(addr)
}

// Sample logs named values at level TRACE, to be tabulated: become logs --sample. Their text is k=v:k=v.
func Sample(ctx context.Context, log *slog.Logger, values ...slog.Attr) {
	if log.Enabled(ctx, LevelTrace) {
		log.LogAttrs(ctx, LevelTrace, "", Sampled.Attr(), slog.Any(sampleKey, samples(values)))
	}
}
