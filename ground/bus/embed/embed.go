package embed

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
)

// Options of a server. Dir and Key are required.
type Options struct {
	// Dir holds the streams.
	Dir string
	// Listen is host:port. Default 127.0.0.1:0, any free port.
	Listen string
	// Key is the fleet's.
	Key *key.Key
	// Name of the server in its fleet.
	Name string
	// SyncAlways makes every acknowledgement wait for the disk.
	SyncAlways bool
	// MaxStore bounds the files. Unit: bytes. Default: what the disk has free, less Reserve.
	MaxStore int64
	// Logger takes what the server has to tell. What is of interest to those who look into
	// the server itself comes at LevelTrace. Default: nothing is told.
	Logger *slog.Logger
}

// LevelTrace is below slog.LevelDebug: who wants to see what the node does need
// not read what the server in it does.
const LevelTrace = slog.LevelDebug - 4

// Reserve is the disk space left to others and to what must still be written when
// the store is full.
const Reserve = 64 << 20

const (
	readyWithin  = 30 * time.Second
	syncInterval = time.Second
	maxPayload   = 1 << 20
	maxMemory    = 64 << 20
)

// Server is a running server. Shut it down.
type Server struct {
	s    *server.Server
	url  string
	done chan struct{}
	log  *logger
	once sync.Once

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Start runs a server and returns when it can be connected to.
func Start(opts Options) (*Server, error) {
	if opts.Key == nil || opts.Dir == "" {
		return nil, fault.Text(fault.Invalid, "start bus", "", "it needs a folder and a key")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fault.New(fault.Internal, "start bus", "", err)
	}
	so, err := serverOptions(opts)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(so)
	if err != nil {
		return nil, fault.New(fault.Invalid, "start bus", "", err)
	}
	e := &Server{s: s, done: make(chan struct{}), log: newLogger(opts.Logger)}
	s.SetLoggerV2(e.log, false, false, false)
	go func() { // ends with Shutdown, which waits for it
		defer close(e.done)
		s.Start()
		s.WaitForShutdown()
	}()
	if err := e.waitReady(opts.Listen); err != nil {
		e.Shutdown()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.boundStore(opts, disk.Free(opts.Dir))
	e.wg.Go(func() { e.guardSpace(ctx, opts) })
	scheme := "nats"
	if so.TLSConfig != nil {
		scheme = "tls"
	}
	e.url = scheme + "://" + reachable(s.Addr().(*net.TCPAddr))
	e.log.l.Debug("the bus is ready", "url", e.url, "folder", opts.Dir, "durable", opts.SyncAlways)
	return e, nil
}

// reachable gives an address that others can dial: a wildcard is none.
func reachable(a *net.TCPAddr) string {
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(a.Port))
}

func serverOptions(opts Options) (*server.Options, error) {
	listen := opts.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fault.New(fault.Invalid, "listen at", listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, fault.Text(fault.Invalid, "listen at", listen, "the port is no number from 0 to 65535")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	so := &server.Options{
		ServerName: opts.Name, Host: host, Port: port, NoSigs: true, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: opts.Dir, SyncAlways: opts.SyncAlways, SyncInterval: syncInterval,
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: storeBound(opts), MaxPayload: maxPayload,
		AuthTimeout: 5, WriteDeadline: 10 * time.Second,
		LameDuckDuration: time.Second, LameDuckGracePeriod: 100 * time.Millisecond,
		CustomClientAuthentication: &gate{public: opts.Key.Public(), logger: opts.Logger},
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		if so.TLSConfig, err = opts.Key.ServerTLS(host); err != nil {
			return nil, err
		}
		so.TLS, so.TLSTimeout = true, 5
	}
	return so, nil
}

// waitReady returns when the server accepts connections, or has said why not.
func (e *Server) waitReady(listen string) error {
	deadline := time.Now().Add(readyWithin)
	for !e.s.ReadyForConnections(20 * time.Millisecond) {
		select {
		case why := <-e.log.fatal:
			return fault.Text(fault.Busy, "start bus at", listen, why)
		case <-e.done:
			return fault.Text(fault.Internal, "start bus at", listen, "the server ended")
		default:
		}
		if time.Now().After(deadline) {
			return fault.Text(fault.Deadline, "start bus at", listen, fmt.Sprintf("the server was not ready within %v", readyWithin))
		}
	}
	return nil
}

// URL is where clients connect to.
func (e *Server) URL() string { return e.url }

// Done is closed when the server has ended.
func (e *Server) Done() <-chan struct{} { return e.done }

// Shutdown ends the server and returns when its files are closed.
func (e *Server) Shutdown() {
	e.once.Do(func() {
		if e.stop != nil {
			e.stop()
		}
		e.wg.Wait()
		e.s.Shutdown()
	})
	<-e.done
}

// logger passes the server's messages on. A fatal one ends the start, never
// the process.
type logger struct {
	l     *slog.Logger
	fatal chan string
}

func newLogger(l *slog.Logger) *logger {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &logger{l: l, fatal: make(chan string, 1)}
}

func (l *logger) Noticef(format string, v ...any) { l.trace(format, v...) }
func (l *logger) Warnf(format string, v ...any)   { l.l.Warn("bus: " + fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.l.Error("bus: " + fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.trace(format, v...) }
func (l *logger) Tracef(string, ...any)           {}
func (l *logger) trace(format string, v ...any) {
	l.l.Log(context.Background(), LevelTrace, "bus: "+fmt.Sprintf(format, v...))
}
func (l *logger) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.l.Error("bus: " + why)
	select {
	case l.fatal <- why:
	default:
	}
}
