package become

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/ground/settings"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// flags are what a program that serves alone is told.
type flags struct {
	listen, preset    []socket.Address // preset are for want of better ones
	service, settings string
	drain             time.Duration
	bus               bool
	manners           manners.Manners
	tls               cert.Source
	logs              logFlags
}

// listens are settings that say where, see Address.
type listens interface{ Listen() string }

// define names the flags. A service with settings has more, see package settings.
func (f *flags) define(s *Server) *flag.FlagSet {
	set := flag.NewFlagSet(programName(), flag.ContinueOnError)
	set.SetOutput(io.Discard)
	hasSettings, where := s != nil && s.settings != nil, DefaultListen
	if hasSettings {
		if _, ok := s.settings.(listens); ok {
			where = "as the settings say"
		}
	}
	set.Func("listen", "where to listen: `address`; may be repeated (default "+where+")", func(text string) error {
		a, err := socket.Parse(text)
		f.listen = append(f.listen, a)
		return err
	})
	set.StringVar(&f.service, "service", "", "`name` of the service, if there are several")
	if !hasSettings {
		set.StringVar(&f.settings, "settings", "", "the service's settings as `JSON`")
	}
	set.BoolVar(&f.bus, "bus", false, "answer requests of the fleet's bus too (an API)")
	set.Func("drain", "how long open connections may go on at the end: a `time` as 10s", func(text string) (err error) {
		if f.drain, err = time.ParseDuration(text); err != nil || f.drain <= 0 {
			return errors.New("want a time above zero, as 10s or 1m30s")
		}
		return nil
	})
	set.StringVar(&f.tls.Cert, "tls-cert", "", "`file` with the certificate of tls:// addresses, or of all of TCP if there is none")
	set.StringVar(&f.tls.Key, "tls-key", "", "`file` with its key")
	set.BoolVar(&f.tls.Self, "tls-self", false, "make a certificate for development")
	f.logs.define(set)
	for _, one := range f.manners.Flags() {
		set.Func(one.Name, one.Usage, one.Set)
	}
	return set
}

// notFlag is wrong usage, as all errors of flags are.
func notFlag(arg string) error {
	return &settings.ArgumentError{Err: fault.Text(fault.Invalid, "read flags", "", fmt.Sprintf("%q is no flag", arg)).
		WithHint("see " + programName() + " --help")}
}

// parseFlags reads the command line of a service without settings.
func parseFlags(set *flag.FlagSet, args []string, stderr io.Writer) error {
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(stderr)
		set.Usage()
		return err
	case err == nil && set.NArg() > 0:
		return notFlag(set.Arg(0))
	}
	if err != nil {
		return &settings.ArgumentError{Err: fault.New(fault.Invalid, "read flags", "", err).WithHint("see " + programName() + " --help")}
	}
	return nil
}

// readFlags finds the service and fills its settings. over means that the command line asked for nothing else.
func readFlags(servers []*Server, services []service.Service, args []string, stdout, stderr io.Writer) (f flags, s *Server, over bool, err error) {
	if f.service = serviceWanted(args); len(services) > 0 {
		var picked service.Service
		if picked, err = service.Pick(services, f.service); err == nil {
			s = servers[slices.IndexFunc(services, func(one service.Service) bool { return one.Name == picked.Name })]
		}
	}
	set := f.define(s)
	if s == nil || s.settings == nil { // what is wrong with a flag goes before
		if wrong := parseFlags(set, args, stderr); wrong != nil {
			return f, s, false, wrong
		}
		return f, s, false, err
	}
	over, err = loadSettings(s, set, args, stdout)
	if l, ok := s.settings.(listens); ok && err == nil && !over && len(f.listen) == 0 {
		var a socket.Address
		a, err = socket.Parse(l.Listen())
		f.preset = []socket.Address{a}
	}
	return f, s, over, err
}

// serviceWanted finds --service, which says what other flags there are.
func serviceWanted(args []string) (name string) {
	for i, arg := range args {
		arg = strings.TrimPrefix(arg, "-")
		if text, ok := strings.CutPrefix(arg, "-service="); ok {
			name = text
		} else if arg == "-service" && i+1 < len(args) {
			name = args[i+1]
		}
	}
	return name
}

func serveAlone(ctx context.Context, servers []*Server, services []service.Service, args []string, stdout, stderr io.Writer) error {
	f, server, over, err := readFlags(servers, services, args, stdout, stderr)
	if err != nil || over {
		return err
	}
	if server == nil {
		_, err := service.Pick(services, f.service)
		return err
	}
	s := traced(server.service)
	if err := f.logs.install(s.Name); err != nil {
		return err
	}
	manager, err := notify.Take()
	if err != nil {
		return err
	}
	if f.drain == 0 {
		f.drain = server.within
	}
	if len(f.preset) == 0 {
		f.preset = []socket.Address{usual(s)}
	}
	sockets, err := openSockets(ctx, f.listen, f.preset)
	if err != nil {
		return err
	}
	options, pair, err := f.options(s, sockets)
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

// options are those of the run, and the certificate that the sockets show, if any does.
func (f *flags) options(s service.Service, sockets []*socket.Socket) (*service.Options, *cert.Pair, error) {
	o := &service.Options{
		Settings: []byte(f.settings), Manners: f.manners, DrainWithin: f.drain, Logger: slogs.Default(),
	}
	pair, err := secure(sockets, *f)
	if err == nil && pair != nil {
		var identity tls.Certificate
		identity, err = pair.TLS()
		o.Certificate = &identity
	}
	if err == nil && f.bus {
		if o.Bus, err = locateBus(s.Name); err == nil && s.Join == nil {
			err = fault.Text(fault.Invalid, "serve on the bus", s.Name, "it is no API")
		}
	}
	return o, pair, err
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

// usual is where a service listens alone when nothing says another address.
func usual(s service.Service) socket.Address {
	if s.Kind == service.Packets {
		return socket.Address{Network: "udp", Addr: DefaultListen}
	}
	return socket.Address{Network: "tcp", Addr: DefaultListen}
}

// openSockets opens the addresses, or takes what the process was started with.
func openSockets(ctx context.Context, addresses, preset []socket.Address) ([]*socket.Socket, error) {
	if len(addresses) == 0 {
		sockets, err := socket.Activated()
		if err != nil || len(sockets) > 0 {
			return sockets, err
		}
		addresses = preset
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
