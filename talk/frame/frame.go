package frame

import (
	"errors"
	"reflect"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/door/problem"
)

// ErrBroken is in the errors of what cannot be read at all, after which nothing else of the peer can be trusted.
var ErrBroken = errors.New("it cannot be read")

// Request is what a client sends.
type Request struct {
	ID    uint64 // 0: the client wants no answer
	Name  string
	Place trace.Place // in a trace; not valid for none
	Value Value
}

// Answer is what a server sends: a reply or a problem, or a pushed message if the ID is 0.
type Answer struct {
	ID      uint64
	Name    string // of the reply's type, "crunch.Output"
	Value   Value
	Problem *problem.Problem
}

// Value is a message as it was sent. The zero value is a message of which nothing was said. It may share memory with
// the frame: see Clone.
type Value struct {
	text []byte // JSON
	tree any    // or a tree
}

// JSONValue is a message that came as JSON.
func JSONValue(text []byte) Value { return Value{text: text} }

// Decode reads it as a value of a type into v, as [message.Type.Decode] does.
func (v Value) Decode(t *message.Type, into reflect.Value) error {
	switch {
	case v.tree != nil:
		return t.DecodeTree(v.tree, into)
	case v.text == nil:
		return t.Decode([]byte("{}"), into)
	}
	return t.Decode(v.text, into)
}

// Restore reads it as [message.Type.Restore] does: what a newer peer says beside what is known is passed over.
func (v Value) Restore(t *message.Type, into reflect.Value) error {
	switch {
	case v.tree != nil:
		return t.RestoreTree(v.tree, into)
	case v.text == nil:
		return t.Restore([]byte("{}"), into)
	}
	return t.Restore(v.text, into)
}

// Clone returns a value that shares nothing with the frame.
func (v Value) Clone() Value {
	return Value{append([]byte(nil), v.text...), v.tree}
}

// Format is how frames are written. Read functions may keep what they are given; append functions
// return what they were given with an error.
type Format interface {
	// Protocol is the subprotocol's name, and Binary whether its messages are.
	Protocol() string
	Binary() bool

	ReadRequest(data []byte) (Request, error)
	ReadAnswer(data []byte) (Answer, error)
	// AppendRequest writes r with v in the place of its Value.
	AppendRequest(b []byte, r Request, t *message.Type, v reflect.Value) ([]byte, error)
	AppendReply(b []byte, id uint64, name string, t *message.Type, v reflect.Value) ([]byte, error)
	AppendProblem(b []byte, id uint64, p *problem.Problem) ([]byte, error)
}

// The formats.
var (
	JSON Format = jsonFormat{}
	CBOR Format = cborFormat{}
)

// Protocols are the subprotocols, the better known one first.
func Protocols() []string { return []string{JSON.Protocol(), CBOR.Protocol()} }

// Of returns the format of a subprotocol; JSON for none.
func Of(protocol string) Format {
	if protocol == CBOR.Protocol() {
		return CBOR
	}
	return JSON
}

// places are the members of a request that say where it comes from, in a trace; none if nobody knows.
func places(p trace.Place) (all []message.Member) {
	if !p.Valid() {
		return nil
	}
	all = append(all, message.Member{Name: trace.ParentField, Value: p.String()})
	if p.State != "" {
		all = append(all, message.Member{Name: trace.StateField, Value: p.State})
	}
	return all
}

// FieldsHeader is the header field of the answer to a session's handshake in which the server names the members of requests that not every version
// knows; who knows no such member refuses it. Traces is its value.
const (
	FieldsHeader = "Become-Fields"
	Traces       = "traceparent, tracestate"
)

// wrong says what of a frame is not as it should be.
func wrong(all message.Problems, path, text string) message.Problems {
	return append(all, message.Problem{Path: path, Text: text})
}

const (
	wantID      = "must be a whole number from 1 on"
	wantName    = "must be a text"
	wantRequest = "it is required"
	wantAnswer  = "must be [name, message, []]"
	notRequest  = "a request is an object of id, request and value"
	notAnswer   = "an answer is an object of id, and value or error"
	noField     = "there is no such field; there is id, request, value, traceparent, tracestate"
)
