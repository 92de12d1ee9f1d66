package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/frame"
)

// Options of a client. Nil and zero mean the defaults.
type Options struct {
	// Timeout is how long a request may take whose context says nothing. Default 30 s; negative: any time.
	Timeout time.Duration
	// Receivers get what the server pushes. Default: nobody does.
	Receivers []Receiver
	// Opened is called when a session begins, the first one and each after it, before waiting requests are sent.
	// Requests with its context are sent at once. An error ends the client.
	Opened func(ctx context.Context, c *Client) error
	// CBOR says that the messages are written in CBOR. Default: JSON.
	CBOR bool
	// TLS is for https. Default: the system's certificates.
	TLS *tls.Config
	// Header goes with each request for a session: Authorization and others.
	Header http.Header
	// MaxMessage is how large a message of the server may be. Unit: bytes. Default 16 MiB.
	MaxMessage int64
	// MaxQueue is how many pushed messages may wait for their receivers. Default 1,024.
	MaxQueue int
	// PingEvery is after how long a silent server is asked whether it is there, and PongWithin how long it may take to
	// answer. Defaults 30 s and 10 s.
	PingEvery, PongWithin time.Duration
	// Logger gets the beginnings and ends of sessions. Default: none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	or(&out.Timeout, 30*time.Second)
	or(&out.MaxMessage, 16<<20)
	or(&out.MaxQueue, 1024)
	or(&out.PingEvery, 30*time.Second)
	or(&out.PongWithin, 10*time.Second)
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

func or[N int | int64 | time.Duration](field *N, preset N) {
	if *field == 0 {
		*field = preset
	}
}

// Reply is what a server has sent, not yet decoded.
type Reply struct {
	// Name is that of its type, with the API's before it: "crunch.Output".
	Name  string
	value frame.Value
}

// NewReply is what came another way than over a session, as JSON.
func NewReply(name string, text []byte) Reply { return Reply{name, frame.JSONValue(text)} }

// Decode reads it into v, a pointer. Fields that v does not have are passed over. fault.Invalid when it does not fit.
func (r Reply) Decode(v any) error {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fault.Text(fault.Invalid, opDecode, r.Name, "want a pointer to decode into")
	}
	t, err := message.Of(to.Type().Elem())
	if err == nil {
		to.Elem().SetZero()
		err = r.value.Restore(t, to.Elem())
	}
	if err != nil {
		return fault.New(fault.Invalid, opDecode, r.Name, err)
	}
	return nil
}

const opDecode = "decode"

// Receiver gets pushed messages of one name; see Receive.
type Receiver struct {
	name string // without the API's; empty: any that nobody else gets
	f    func(ctx context.Context, r Reply) error
	err  error
}

// Receive makes a receiver of a typed function: In's Go type names the messages. A function of a [Reply] gets all
// that nobody else does. ctx ends with the client. What cannot be decoded is logged.
func Receive[In any](f func(ctx context.Context, m In)) Receiver {
	t := reflect.TypeFor[In]()
	if f == nil {
		return Receiver{err: fault.Text(fault.Invalid, "receive", t.String(), "the function is nil")}
	}
	if all, ok := any(f).(func(context.Context, Reply)); ok {
		return Receiver{f: func(ctx context.Context, r Reply) error { all(ctx, r); return nil }}
	}
	_, err := message.Of(t)
	if err == nil && t.Name() == "" {
		err = fault.Text(fault.Invalid, "receive", t.String(), "a message is of a type with a name")
	}
	return Receiver{name: t.Name(), err: err, f: func(ctx context.Context, r Reply) error {
		var m In
		if err := r.Decode(&m); err != nil {
			return err
		}
		f(ctx, m)
		return nil
	}}
}

// short is the name without the API's.
func (r Reply) short() string { return r.Name[strings.LastIndexByte(r.Name, '.')+1:] }
