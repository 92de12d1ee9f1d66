package become

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// flags are what a program that serves alone is told.
type flags struct {
	listen            []socket.Address
	service, settings string
	drain             time.Duration
	manners           manners.Manners
	tls               cert.Source
}

func parseFlags(args []string, stderr io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet(programName(), flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Func("listen", "where to listen: `address`; may be repeated (default "+DefaultListen+")", func(text string) error {
		a, err := socket.Parse(text)
		f.listen = append(f.listen, a)
		return err
	})
	set.StringVar(&f.service, "service", "", "`name` of the service, if there are several")
	set.StringVar(&f.settings, "settings", "", "the service's settings as `JSON`")
	set.DurationVar(&f.drain, "drain", 0, "how long open connections may go on at the end")
	set.StringVar(&f.tls.Cert, "tls-cert", "", "`file` with the certificate of tls:// addresses, or of all of TCP if there is none")
	set.StringVar(&f.tls.Key, "tls-key", "", "`file` with its key")
	set.BoolVar(&f.tls.Self, "tls-self", false, "make a certificate for development")
	for _, one := range f.manners.Flags() {
		set.Func(one.Name, one.Usage, one.Set)
	}
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(stderr)
		set.Usage()
		return f, err
	case err == nil && set.NArg() > 0:
		err = fmt.Errorf("%q is no flag", set.Arg(0))
	}
	if err != nil {
		return f, fault.New(fault.Invalid, "read flags", "", err).WithHint("see " + programName() + " --help")
	}
	return f, nil
}

func serveAlone(ctx context.Context, servers []*Server, services []service.Service, args []string, stderr io.Writer) error {
	f, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	s, err := service.Pick(services, f.service)
	if err != nil {
		return err
	}
	manager, err := notify.Take()
	if err != nil {
		return err
	}
	if f.drain == 0 {
		for i, one := range services {
			if one.Name == s.Name {
				f.drain = servers[i].within
			}
		}
	}
	sockets, err := openSockets(ctx, f.listen)
	if err != nil {
		return err
	}
	options := &service.Options{
		Settings: []byte(f.settings), Manners: f.manners, DrainWithin: f.drain, Logger: slog.Default(),
	}
	pair, err := secure(sockets, f)
	if err == nil && pair != nil {
		var identity tls.Certificate
		identity, err = pair.TLS()
		options.Certificate = &identity
	}
	if err != nil {
		closeSockets(sockets)
		return err
	}
	options.OnReady = func() {
		manager.Ready("serving on " + strings.Join(addresses(sockets), " "))
		tellServing(stderr, sockets, pair)
	}
	defer tellLiving(ctx, manager, f.drain)()
	return service.Run(ctx, s, sockets, options)
}

// tellLiving tells the service manager that this program lives, and when it stops, until the function that it
// returns is called.
func tellLiving(ctx context.Context, manager *notify.Notifier, drain time.Duration) (end func()) {
	living, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { manager.Watch(living, func() bool { return true }) })
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-living.Done(): // that can be soon after
		}
		if ctx.Err() != nil {
			manager.Stopping(drain)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// secure decides which sockets speak TLS, and returns the certificate for them; nil if none does.
func secure(sockets []*socket.Socket, f flags) (*cert.Pair, error) {
	all := make([]wire.Socket, len(sockets))
	for i, one := range sockets {
		all[i] = one.Socket
	}
	wanted := f.tls != (cert.Source{})
	if err := socket.Secure(all, wanted); err != nil || !wanted {
		return nil, err
	}
	for i, one := range sockets {
		one.TLS = all[i].TLS
		if i < len(f.listen) { // a name says more than the address that was bound
			all[i].Addr = f.listen[i].Addr
		}
	}
	return f.tls.Load(home.Default(), socket.Hosts(all)...)
}

func addresses(sockets []*socket.Socket) []string {
	all := make([]string, len(sockets))
	for i, s := range sockets {
		all[i] = socket.Address{Name: s.Name, Network: s.Network, Addr: s.Addr, TLS: s.TLS}.String()
	}
	return all
}

func tellServing(to io.Writer, sockets []*socket.Socket, pair *cert.Pair) {
	fmt.Fprintf(to, "%s: serving on %s\n", programName(), strings.Join(addresses(sockets), " "))
	if pair == nil {
		return
	}
	fmt.Fprintf(to, "%s: certificate %s\n", programName(), pair)
	if text := pair.Warning(time.Now()); text != "" {
		fmt.Fprintf(to, "%s: %s\n", programName(), text)
	}
}

// openSockets opens the addresses, or takes what the process was started with.
func openSockets(ctx context.Context, addresses []socket.Address) ([]*socket.Socket, error) {
	if len(addresses) == 0 {
		sockets, err := socket.Activated()
		if err != nil || len(sockets) > 0 {
			return sockets, err
		}
		addresses = []socket.Address{{Network: "tcp", Addr: DefaultListen}}
	}
	var sockets []*socket.Socket
	for _, a := range addresses {
		s, err := socket.Open(ctx, a)
		if err != nil {
			closeSockets(sockets)
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

func closeSockets(all []*socket.Socket) {
	for _, s := range all {
		s.Close()
	}
}
