package become

import (
	"github.com/universal-server/become/talk/api"
)

// Methods makes requests of an object's exported methods, each named after its method:
//
//	func (c *Crunch) Multiply(ctx context.Context, m Factors) (Output, error)
//
// A method whose first parameter is no context is the object's own. An object may have these too, which are no requests:
//
//	Start(ctx) error               before the service is ready; ctx ends when it begins to drain
//	Stop(ctx) error                after its last request; ctx has what is left of the drain's time
//	Accepted(ctx) error            a session begins, see SessionOf; an error refuses it
//	Closed(ctx, reason string)     the server has ended a session
//	Abandoned(ctx, reason string)  its client has ended it, or is gone
//
// Options are for the method that their Name says. Requests are answered at the same time: what they share
// is to be guarded.
func Methods(receiver any, opts ...RequestOptions) APIPart {
	return classOf(api.Methods(receiver, handlerOptions(opts)...))
}

// PerSession is [Methods] with an object of its own for each session, made by f when it begins. A request without a
// session gets one for itself; f is given nil then. Such objects have neither Start nor Stop.
func PerSession[T any](f func(s *Session) T, opts ...RequestOptions) APIPart {
	return classOf(api.PerSession(f, handlerOptions(opts)...))
}

func handlerOptions(opts []RequestOptions) []api.HandlerOptions {
	all := make([]api.HandlerOptions, len(opts))
	for i, o := range opts {
		all[i] = o.handler()
	}
	return all
}

func (o RequestOptions) handler() api.HandlerOptions {
	return api.HandlerOptions{Name: o.Name, Doc: o.Doc, Timeout: o.Timeout, Replies: o.Replies}
}

func classOf(c *api.Class, err error) APIPart { return class{c, err} }

type class struct {
	class *api.Class
	err   error
}

func (c class) addTo(p *apiParts) {
	p.classes = append(p.classes, c.class)
	if p.err == nil {
		p.err = c.err
	}
}
