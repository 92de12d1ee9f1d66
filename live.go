package become

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/universal-server/become/ground/settings"
)

// LiveSettings are settings that may change while the service runs: become settings NAME key=value needs no new process then.
//
//	type Settings struct{ Greeting string }
//
//	var now atomic.Pointer[Settings] // what the handlers read
//
//	func (s *Settings) Changed(context.Context) error { now.Store(s); return nil }
//
//	func main() {
//		factory := &Settings{Greeting: "hello"}
//		now.Store(factory)
//		become.Serve(become.HTTP("greet", handler, become.ServiceOptions{Settings: factory}))
//	}
type LiveSettings interface {
	// Changed is called on a new struct, which nobody else has, with the factory settings and what was changed. Not called at
	// the start: the struct given to the service holds those. An error refuses the change, for all processes of the service; those that had
	// taken it are given the settings before. ctx ends when the service is to end. Calls come one at a time.
	Changed(ctx context.Context) error
}

// reconfigure returns what takes other settings while the service runs, nil if they are not live. The factory settings are
// those of now.
func reconfigure(factory any) func(context.Context, json.RawMessage) error {
	if _, live := factory.(LiveSettings); !live {
		return nil
	}
	whole, wrong := settings.Snapshot(factory)
	return func(ctx context.Context, data json.RawMessage) error {
		if wrong != nil {
			return wrong
		}
		next := reflect.New(reflect.TypeOf(factory).Elem()).Interface()
		if err := settings.Update(next, whole); err != nil {
			return err
		}
		if len(data) > 0 {
			if err := settings.Update(next, data); err != nil {
				return err
			}
		}
		return next.(LiveSettings).Changed(ctx)
	}
}
