package api

import (
	"context"
	"reflect"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// HandlerOptions are one request's own wishes. Nil and zero mean the defaults.
type HandlerOptions struct {
	// Name of the request. Default: the message's Go type.
	Name string
	// Doc says what it does, in a sentence.
	Doc string
	// Timeout goes before Options.Timeout. Negative means none.
	Timeout time.Duration
	// Replies are values of the types that a handler whose answer is an interface may answer with, for its
	// description. One that is not among them is an error of kind fault.Internal.
	Replies []any
	// Safe says that the request changes nothing, so that it may be asked again, and cached.
	Safe bool
}

// Handler answers one kind of request. It is made by Handle.
type Handler struct {
	Name    string
	Doc     string
	In      *message.Type
	Replies []*message.Type // one, unless the answer is an interface
	Safe    bool

	timeout time.Duration
	open    bool // the answer is an interface
	call    func(ctx context.Context, in reflect.Value) (any, error)
}

// Handle makes a handler of a typed function. In is a struct; Out is anything that can be part of a message, or an
// interface, whose types Options.Replies names. fault.Invalid when a type cannot be.
func Handle[In, Out any](f func(context.Context, In) (Out, error), opts *HandlerOptions) (*Handler, error) {
	var o HandlerOptions
	if opts != nil {
		o = *opts
	}
	if f == nil {
		return nil, fault.Text(fault.Invalid, opHandler, o.Name, "it is nil")
	}
	h, err := newHandler(reflect.TypeFor[In](), reflect.TypeFor[Out](), o)
	if err != nil {
		return nil, err
	}
	h.call = func(ctx context.Context, in reflect.Value) (any, error) { return f(ctx, *in.Addr().Interface().(*In)) }
	return h, nil
}

const opHandler = "declare handler"

// newHandler makes a handler that has nothing to call yet.
func newHandler(in, out reflect.Type, o HandlerOptions) (*Handler, error) {
	h := &Handler{Name: o.Name, Doc: o.Doc, Safe: o.Safe, timeout: o.Timeout}
	if h.Name == "" {
		h.Name = in.Name()
	}
	switch {
	case in.Kind() != reflect.Struct:
		return nil, fault.Text(fault.Invalid, opHandler, in.String(), "a request is a struct")
	case !goodName.MatchString(h.Name):
		return nil, fault.Text(fault.Invalid, opHandler, "\""+h.Name+"\"", "a request's name is letters, digits, '_' and '-'; give one in its options")
	}
	var err error
	if h.In, err = message.Of(in); err != nil {
		return nil, fault.New(fault.Invalid, opHandler, h.Name, err)
	}
	all := []reflect.Type{out}
	if h.open = out.Kind() == reflect.Interface; h.open {
		all = nil
		for _, one := range o.Replies {
			all = append(all, reflect.TypeOf(one))
		}
	}
	for _, one := range all {
		t, err := message.Of(one)
		if err != nil {
			return nil, fault.New(fault.Invalid, opHandler, h.Name, err)
		}
		h.Replies = append(h.Replies, t)
	}
	if h.open && len(all) == 0 {
		return nil, fault.Text(fault.Invalid, opHandler, h.Name, "its answer is an interface: name the types in the options' Replies")
	}
	return h, nil
}

// Reply is what a handler answered.
type Reply struct {
	Type  *message.Type
	Value reflect.Value
}

// reply finds the type of what a handler answered.
func (h *Handler) reply(out any) (Reply, error) {
	if !h.open {
		v := reflect.ValueOf(out)
		if !v.IsValid() { // a nil of any
			v = reflect.Zero(h.Replies[0].Go())
		}
		return Reply{h.Replies[0], v}, nil
	}
	t := reflect.TypeOf(out)
	for _, one := range h.Replies {
		if one.Go() == t {
			return Reply{one, reflect.ValueOf(out)}, nil
		}
	}
	if t == nil {
		return Reply{}, fault.Text(fault.Internal, "answer", h.Name, "the handler answered nothing")
	}
	return Reply{}, fault.Text(fault.Internal, "answer", h.Name, "the handler answered with a "+t.String()+", which is not among its replies")
}
