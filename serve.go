package become

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/settings"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// DefaultListen is where a service listens that nobody told where to: by TCP, or by UDP if it is a Packet service.
const DefaultListen = "127.0.0.1:8080"

// Serve is the main function of a program of services. Started by a keeper it serves on the
// sockets that the keeper passes; started by anybody else it serves alone, where its flags
// say:
//
//	--listen ADDR     :8080, 127.0.0.1:0, tls://:8443, udp://127.0.0.1:53, unix:/path; may be repeated
//	--tls-cert FILE   a certificate, and --tls-key FILE its key; or --tls-self, for development
//	--service NAME    which service, if the program has several
//	--settings JSON   the service's settings
//	--bus             answer the requests of the fleet's bus too, if it is an API
//	--drain DURATION  how long open connections may go on at the end
//	--debug-level L   what is logged on standard error, with log/slog: NONE, FAULT, WARNING (alone, the default), CONSOLE
//	                  (the default of a keeper), OBJECT (messages and connections), TRACE, DEBUG
//	--log-format F    seed (see package slogs), json or text
//
// and the limits of package manners: --max-conns, --accept-rate, --idle-timeout and others, see --help.
// Sockets of systemd (LISTEN_FDS) are used if there is no --listen, and systemd is told when it serves and when it
// stops (Type=notify). The first interrupt
// drains, the second ends the process. Serve exits with 0; with 1 and the error on standard error; with 2 when the
// command line makes no sense; with the
// system's number of the error if it cannot listen, 98 for an address in use on Linux; or with 130 after an interrupt.
// A program that has set slog's default before keeps its own log.
// A service with settings has a flag for each of them, see package ground/settings.
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
		err := service.RunKept(ctx, services, &service.Options{DrainWithin: longest(servers), Logger: slogs.Default(), Logs: &logs})
		if err == nil || interrupted() && fault.KindOf(err) == fault.Deadline {
			return 0
		}
		return report(err)
	}
	err := serveAlone(ctx, servers, services, args, os.Stdout, stderr)
	return outcome(err, interrupted(), stderr)
}

// outcome says how a service that ran alone ended, and returns the exit code.
func outcome(err error, interrupted bool, stderr io.Writer) int {
	var number syscall.Errno
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil && !interrupted && listening(err) && errors.As(err, &number):
		e, _ := errors.AsType[*fault.Error](err)
		fmt.Fprintf(stderr, "%s: cannot %s %s (%v)\n", programName(), e.Op, e.ID, e.Err)
		if e.Hint != "" {
			fmt.Fprintf(stderr, "hint: %s\n", e.Hint)
		}
		return int(number)
	case err != nil:
		report(err)
	}
	if interrupted {
		fmt.Fprintf(stderr, "%s: aborted (user or software interrupt)\n", programName())
		return 130
	}
	if _, usage := errors.AsType[*settings.ArgumentError](err); usage {
		return 2
	}
	if err != nil {
		return 1
	}
	return 0
}

func listening(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e != nil && e.Op == socket.OpListen
}

func longest(servers []*Server) (d time.Duration) {
	for _, s := range servers {
		if s != nil {
			d = max(d, s.within)
		}
	}
	return d
}
