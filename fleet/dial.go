package fleet

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/roster"
)

// Dialer returns a function that opens lines to workers: over a Unix socket
// on this machine, over TLS to others.
func Dialer(public key.Public, machine string) func(context.Context, roster.Endpoint) (*line.Conn, error) {
	return func(ctx context.Context, to roster.Endpoint) (*line.Conn, error) {
		nc, err := dial(ctx, public, machine, to)
		if err != nil {
			return nil, fault.New(fault.Lost, "open line to worker", to.Worker, err)
		}
		return line.Client(ctx, nc, to.Token, nil)
	}
}

func dial(ctx context.Context, public key.Public, machine string, to roster.Endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, line.HandshakeTimeout)
	defer cancel()
	var d net.Dialer
	if to.Unix != "" && to.Machine == machine {
		nc, err := d.DialContext(ctx, "unix", to.Unix)
		if err == nil || to.TCP == "" { // containers of one machine may not share files
			return nc, err
		}
	}
	if to.TCP == "" {
		return nil, fault.Text(fault.NotFound, "", "", "it is on another machine and listens on no address; start its node with --listen")
	}
	return (&tls.Dialer{NetDialer: &d, Config: public.ClientTLS()}).DialContext(ctx, "tcp", to.TCP)
}
