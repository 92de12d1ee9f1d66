package become

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/service"
)

// DefaultListen is where a service listens that nobody told where to.
const DefaultListen = "127.0.0.1:8080"

// Serve is the main function of a program of services. Started by a keeper it serves on the
// sockets that the keeper passes; started by anybody else it serves alone, where its flags
// say:
//
//	--listen ADDR     :8080, 127.0.0.1:0, tls://:8443, udp://127.0.0.1:53, unix:/path; may be repeated
//	--tls-cert FILE   a certificate, and --tls-key FILE its key; or --tls-self, for development
//	--service NAME    which service, if the program has several
//	--settings JSON   the service's settings
//	--drain DURATION  how long open connections may go on at the end
//
// and the limits of package manners: --max-conns, --accept-rate, --idle-timeout and others, see --help.
// Sockets of systemd (LISTEN_FDS) are used if there is no --listen, and systemd is told when it serves and when it
// stops (Type=notify). The first interrupt
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
