package become

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/client"
)

// Client is a session with an API, see [DialAPI]. Its methods may be called from several goroutines.
type Client = client.Client

// Asker is where requests of an API go to: a [Client], or what [Fleet.API] returns.
type Asker interface {
	// Ask sends a request, v of type t; see the function Ask.
	Ask(ctx context.Context, name string, t *message.Type, v reflect.Value) (Reply, error)
}

// DialOptions are the wishes of a [Client]. The zero value means the defaults.
type DialOptions = client.Options

// Receiver gets what the server of a [Client] pushes, see [Receive].
type Receiver = client.Receiver

// Reply is what a server has sent, with the name of its type, not yet decoded.
type Reply = client.Reply

// DialAPI opens a session with an API, in any language that speaks as package talk/frame says:
//
//	crunch, err := become.DialAPI(ctx, "http://127.0.0.1:5051")
//	out, err := become.Ask[Output](ctx, crunch, Multiply{1.5, 2.25})
//
// The address is http://host:port/path, https://, ws://, wss://, tls://host:port, host:port, or unix:/path. When the session
// ends because the server is swapped, or the connection breaks, the client dials again; see package talk/client for what it
// promises. The caller closes it.
func DialAPI(ctx context.Context, address string, opts ...DialOptions) (*Client, error) {
	var o DialOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	return client.Dial(ctx, address, &o)
}

// Receive makes a receiver of a typed function, for [DialOptions]: In's Go type names the messages. A function of a [Reply]
// gets all that nobody else does.
func Receive[In any](f func(ctx context.Context, m In)) Receiver { return client.Receive(f) }

// Ask sends a request, named by in's Go type, and waits for its answer, an Out: ctx's deadline bounds it, or else
// DialOptions.Timeout, and 30 s at the bus. The error has the kind that the server said. An answer of a struct type with another name is Invalid: of a
// request that has several, ask for a [Reply]. Several at once: see [Async].
func Ask[Out, In any](ctx context.Context, to Asker, in In) (Out, error) {
	return AskNamed[Out](ctx, to, reflect.TypeFor[In]().Name(), in)
}

// AskNamed is [Ask] for a request that is named otherwise than its message's type, as a method is.
func AskNamed[Out, In any](ctx context.Context, to Asker, name string, in In) (out Out, err error) {
	t, err := message.Of(reflect.TypeFor[In]())
	if err != nil {
		return out, fault.New(fault.Invalid, "ask", name, err)
	}
	r, err := to.Ask(ctx, name, t, reflect.ValueOf(&in).Elem())
	if err != nil {
		return out, err
	}
	if raw, ok := any(&out).(*Reply); ok {
		*raw = r
		return out, nil
	}
	want, err := message.Of(reflect.TypeFor[Out]())
	if err != nil {
		return out, fault.New(fault.Invalid, "ask", name, err)
	}
	if got := r.Name[strings.LastIndexByte(r.Name, '.')+1:]; want.Go().Kind() == reflect.Struct && got != want.Name() {
		return out, fault.Text(fault.Invalid, "ask", name, fmt.Sprintf("it was answered with a %s, not a %s", r.Name, want.Name()))
	}
	return out, r.Decode(&out)
}

// Tell sends a request that is not answered. It returns when the request is on its way: whether it arrives, nobody knows.
func Tell[In any](ctx context.Context, c *Client, in In) error {
	name := reflect.TypeFor[In]().Name()
	t, err := message.Of(reflect.TypeFor[In]())
	if err != nil {
		return fault.New(fault.Invalid, "tell", name, err)
	}
	return c.Tell(ctx, name, t, reflect.ValueOf(&in).Elem())
}
