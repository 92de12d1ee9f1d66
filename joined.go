package become

import (
	"context"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/wire"
	"github.com/universal-server/become/talk/api"
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
