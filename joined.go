package become

import (
	"context"
	"reflect"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/wire"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/client"
	"github.com/universal-server/become/talk/door/micro"
)

// joins answers an API's requests at the fleet's bus, besides.
func joins(a *api.API) func(ctx, leave context.Context, at wire.Bus) error {
	return func(ctx, leave context.Context, at wire.Bus) error {
		b, err := fleet.ConnectService(leave, fleet.Service{
			URL: at.URL, Ticket: at.Ticket, Public: at.Public, Name: at.Name, ID: at.ID, Logger: slogs.Default(),
		})
		if err != nil {
			return err
		}
		defer b.Close()
		opts := &micro.Options{Name: at.Name, ID: at.ID, Logger: slogs.Default()}
		if at.Node != "" {
			opts.Metadata = map[string]string{"node": at.Node}
		}
		s, err := micro.Serve(ctx, b, a, opts)
		if err != nil {
			return err
		}
		<-leave.Done()
		return s.Close()
	}
}

// locateBus finds the bus for a service that runs alone.
func locateBus(name string) (*wire.Bus, error) {
	s, err := fleet.LocateService(&fleet.Options{}, name)
	if err != nil {
		return nil, err
	}
	return &wire.Bus{URL: s.URL, Ticket: s.Ticket, Public: s.Public, Name: s.Name, ID: s.ID}, nil
}

// API is an API at the fleet's bus, deployed under a name or served with --bus: any process of it answers.
//
//	out, err := become.Ask[Output](ctx, fleet.API("crunch"), Multiply{1.5, 2.25})
func (f *Fleet) API(name string) Asker { return atBus{f, name} }

type atBus struct {
	f    *Fleet
	name string
}

// Ask implements Asker.
func (b atBus) Ask(ctx context.Context, name string, t *message.Type, v reflect.Value) (Reply, error) {
	data, err := t.Append(nil, v)
	if err != nil {
		return Reply{}, fault.New(fault.Invalid, "ask", b.name+"."+name, err)
	}
	a, err := micro.Request(ctx, b.f.f.Bus(), b.name, name, data)
	if err != nil {
		return Reply{}, err
	}
	return client.NewReply(a.Type, a.Value), nil
}
