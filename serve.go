package become

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// DefaultListen is where a service listens that nobody told where to.
const DefaultListen = "127.0.0.1:8080"

// Serve is the main function of a program of services. Started by a keeper it serves on the
// sockets that the keeper passes; started by anybody else it serves alone, where its flags
// say:
//
//	--listen ADDR     :8080, 127.0.0.1:0, udp://127.0.0.1:53, unix:/path; may be repeated
//	--service NAME    which service, if the program has several
//	--settings JSON   the service's settings
//	--drain DURATION  how long open connections may go on at the end
//
// and the limits of package manners: --max-conns, --accept-rate, --idle-timeout and others, see --help.
// Sockets of systemd (LISTEN_FDS) are used if there is no --listen. The first interrupt
// drains, the second ends the process. Serve exits as [Main] does: with 0, with 1 and the error on
// standard error, or with 130 after an interrupt.
func Serve(servers ...*Server) {
	register(servicesOf(servers))
	Init()
	os.Exit(serve(servers, os.Args[1:], os.Stderr))
}

func serve(servers []*Server, args []string, stderr io.Writer) int {
	ctx, interrupted, stop := untilInterrupt()
	defer stop()
	services := servicesOf(servers)
	if service.Kept() {
		err := service.RunKept(ctx, services, &service.Options{DrainWithin: longest(servers), Logger: slog.Default()})
		if err == nil || interrupted() && fault.KindOf(err) == fault.Deadline {
			return 0
		}
		return report(err)
	}
	err := serveAlone(ctx, servers, services, args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		report(err)
		if !interrupted() {
			return 1
		}
	}
	if interrupted() {
		return 130
	}
	return 0
}

func longest(servers []*Server) (d time.Duration) {
	for _, s := range servers {
		if s != nil {
			d = max(d, s.within)
		}
	}
	return d
}

// flags are what a program that serves alone is told.
type flags struct {
	listen            []socket.Address
	service, settings string
	drain             time.Duration
	manners           manners.Manners
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
	told := make([]string, len(sockets))
	for i, one := range sockets {
		told[i] = socket.Address{Name: one.Name, Network: one.Network, Addr: one.Addr}.String()
	}
	return service.Run(ctx, s, sockets, &service.Options{
		Settings: []byte(f.settings), Manners: f.manners, DrainWithin: f.drain, Logger: slog.Default(),
		OnReady: func() {
			fmt.Fprintf(stderr, "%s: serving on %s\n", programName(), strings.Join(told, " "))
		},
	})
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
			for _, s := range sockets {
				s.Close()
			}
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}
