package api

import (
	"context"
	"fmt"
	"reflect"

	"github.com/universal-server/become/ground/fault"
)

// Class is handlers that are the methods of a type. It is made by Methods and PerSession.
type Class struct {
	handlers []*Handler
	life     any                // what Start and Stop are asked of; nil: nothing has them
	object   func(*Session) any // of a session, or of a plain request if it is nil
	one      bool               // the same object for all
}

// The methods of a class that are no handlers.
type (
	starter interface {
		Start(ctx context.Context) error
	}
	stopper interface {
		Stop(ctx context.Context) error
	}
	accepter interface {
		Accepted(ctx context.Context) error
	}
	closer interface {
		Closed(ctx context.Context, reason string)
	}
	abandoner interface {
		Abandoned(ctx context.Context, reason string)
	}
)

// reserved are their types by name.
var reserved = map[string]reflect.Type{
	"Start": reflect.TypeFor[starter](), "Stop": reflect.TypeFor[stopper](), "Accepted": reflect.TypeFor[accepter](),
	"Closed": reflect.TypeFor[closer](), "Abandoned": reflect.TypeFor[abandoner](),
}

const opClass = "declare methods of"

// Methods makes handlers of a receiver's exported methods, each named after the method:
//
//	func (c *Crunch) Multiply(ctx context.Context, m Factors) (Output, error)
//
// Methods whose first parameter is no context are the receiver's own; one with a context that does not fit is
// fault.Invalid. These are not handlers: Start(ctx) error, called before the service is ready; Stop(ctx) error, when it is
// drained; Accepted(ctx) error, when a session begins, whose error refuses it; Closed(ctx, reason string) when the
// server has ended one, Abandoned(ctx, reason string) when its peer has or is gone. opts are those of the
// methods that they name.
func Methods(receiver any, opts ...HandlerOptions) (*Class, error) {
	v := reflect.ValueOf(receiver)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fault.Text(fault.Invalid, opClass, fmt.Sprintf("%T", receiver), "it is nil")
	}
	c := &Class{life: receiver, one: true, object: func(*Session) any { return receiver }}
	return c, c.addMethods(v.Type(), opts)
}

// PerSession is Methods with an object of its own for each session, which make makes. A request without a
// session, as over plain HTTP, gets one for itself; make is given nil then. The requests of a session run at
// the same time. Start and Stop are not for such objects.
func PerSession[T any](make func(*Session) T, opts ...HandlerOptions) (*Class, error) {
	t := reflect.TypeFor[T]()
	if make == nil {
		return nil, fault.Text(fault.Invalid, opClass, t.String(), "what makes one is nil")
	}
	for _, name := range []string{"Start", "Stop"} {
		if _, ok := t.MethodByName(name); ok {
			return nil, fault.Text(fault.Invalid, opClass, t.String(), "it lives as long as its session: it has no "+name+", but Accepted, Closed and Abandoned")
		}
	}
	c := &Class{object: func(s *Session) any { return make(s) }}
	return c, c.addMethods(t, opts)
}

func (c *Class) addMethods(t reflect.Type, opts []HandlerOptions) error {
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && reflect.PointerTo(t).NumMethod() > t.NumMethod() {
		return fault.Text(fault.Invalid, opClass, t.String(), "it has methods that need a pointer: give one")
	}
	wishes := map[string]HandlerOptions{}
	for _, o := range opts {
		if _, ok := t.MethodByName(o.Name); !ok {
			return fault.Text(fault.Invalid, opClass, t.String(), fmt.Sprintf("options are for a method %q, which it does not have", o.Name))
		}
		wishes[o.Name] = o
	}
	ends := 0
	for i := range t.NumMethod() {
		name := t.Method(i).Name
		if want := reserved[name]; want != nil {
			if !t.Implements(want) {
				return fault.Text(fault.Invalid, opClass, t.String(), "want "+name+" as "+want.Method(0).Type.String())
			}
			ends++
			continue
		}
		o := wishes[name]
		o.Name = name
		if err := c.addMethod(t, i, o); err != nil {
			return err
		}
	}
	if len(c.handlers)+ends == 0 {
		return fault.Text(fault.Invalid, opClass, t.String(), "it has no method as func(context.Context, Message) (Reply, error)")
	}
	return nil
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// addMethod makes a handler of a method, if it is one.
func (c *Class) addMethod(t reflect.Type, i int, o HandlerOptions) error {
	m := t.Method(i)
	f, first := m.Type, 1
	if t.Kind() == reflect.Interface {
		first = 0
	}
	if f.NumIn() <= first || f.In(first) != contextType {
		return nil
	}
	if f.NumIn() != first+2 || f.IsVariadic() || f.NumOut() != 2 || f.Out(1) != errorType {
		return fault.Text(fault.Invalid, opClass, t.String(), "its method "+m.Name+" takes a context and is not func(context.Context, Message) (Reply, error)")
	}
	h, err := newHandler(f.In(first+1), f.Out(0), o)
	if err != nil {
		return err
	}
	method := func(s *Session) reflect.Value { return reflect.ValueOf(c.of(s)).MethodByName(m.Name) }
	if c.one {
		bound := method(nil)
		method = func(*Session) reflect.Value { return bound }
	} else if t.Kind() != reflect.Interface {
		method = func(s *Session) reflect.Value { return reflect.ValueOf(c.of(s)).Method(i) }
	}
	h.call = func(ctx context.Context, in reflect.Value) (any, error) {
		s, _ := SessionOf(ctx)
		out := method(s).Call([]reflect.Value{reflect.ValueOf(ctx), in})
		err, _ := out[1].Interface().(error)
		return out[0].Interface(), err
	}
	c.handlers = append(c.handlers, h)
	return nil
}

// of returns the object of a session, which has one since it was accepted.
func (c *Class) of(s *Session) any {
	if s != nil {
		if o, ok := s.objects[c]; ok {
			return o
		}
	}
	return c.object(s)
}
