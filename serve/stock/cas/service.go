package cas

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/universal-server/become/serve/service"
)

// Name is what the service of [Service] is called.
const Name = "cas"

// Service is a server for a process that a keeper starts, on any number of listeners; its settings are [Settings].
// Chatter goes to the writer given, if the settings want it. Processes that shall share one register get its
// address in their settings; see [Share].
func Service(logger *slog.Logger, chatter io.Writer) service.Service {
	var settings Settings
	return service.Service{
		Name: Name, Kind: service.Connections, Factory: factory,
		Configure: func(data json.RawMessage) (err error) {
			settings, err = ReadSettings(data)
			return err
		},
		Serve: func(ctx context.Context, s service.Sockets) error {
			o, reg, err := settings.Open(ctx, logger, chatter)
			if err != nil {
				return err
			}
			err = service.Each(func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, o) })(ctx, s)
			return errors.Join(err, reg.Close())
		},
	}
}
