package micro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
)

// Options of a service. Nil and zero mean the defaults.
type Options struct {
	// Name is the service's at the bus. Default: the API's.
	Name string
	// ID tells the processes of a service apart: letters, digits, '-' and '_'. Default: a random one.
	ID string
	// Metadata are words about this process, for $SRV.PING and others.
	Metadata map[string]string
	// Logger gets answers that could not be sent. Default: none.
	Logger *slog.Logger
}

// Service is an API at a bus.
type Service struct {
	api    *api.API
	bus    bus.Messenger
	logger *slog.Logger
	self   identity

	started   time.Time
	endpoints []*endpoint
	subs      []bus.Subscription

	ctx    context.Context // of the requests
	cancel context.CancelFunc
	mu     sync.Mutex // of subs
}

// Serve begins to answer. The requests' contexts end with ctx. fault.Invalid for an API whose name belongs
// to the fleet or the bus.
func Serve(ctx context.Context, b bus.Messenger, a *api.API, opts *Options) (*Service, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Name == "" {
		o.Name = a.Name
	}
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{api: a, bus: b, logger: o.Logger, self: newIdentity(a, o), started: time.Now().UTC()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	for _, h := range a.Handlers() {
		s.endpoints = append(s.endpoints, &endpoint{handler: h, subject: o.Name + "." + h.Name})
	}
	if err := s.subscribe(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// CheckName says whether an API of that name may be at the bus: its subjects begin with it. fault.Invalid if not.
func CheckName(name string) error {
	if name == "become" || strings.HasPrefix(name, "become_") || strings.HasPrefix(name, "_") {
		return fault.Text(fault.Invalid, "serve on the bus", name, "the name belongs to the fleet")
	}
	return nil
}

// ID is the process's.
func (s *Service) ID() string { return s.self.ID }

// subscribe begins to listen: at the requests first, so that who sees the service can call it.
func (s *Service) subscribe(ctx context.Context) error {
	for _, e := range s.endpoints {
		sub, err := s.bus.Serve(ctx, e.subject, group, func(m bus.Message) { s.request(e, m) })
		if err := s.listens(sub, err); err != nil {
			return err
		}
	}
	for verb, answer := range map[string]func() any{"PING": s.ping, "INFO": s.info, "STATS": s.stats} {
		tell := func(m bus.Message) { s.send(m, answer()) }
		for _, subject := range []string{"$SRV." + verb, "$SRV." + verb + "." + s.self.Name, "$SRV." + verb + "." + s.self.Name + "." + s.self.ID} {
			sub, err := s.bus.Subscribe(ctx, subject, "", tell)
			if err := s.listens(sub, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) listens(sub bus.Subscription, err error) error {
	if err != nil {
		return fault.New(fault.KindOf(err), "serve on the bus", s.self.Name, err)
	}
	s.mu.Lock()
	s.subs = append(s.subs, sub)
	s.mu.Unlock()
	return nil
}

// Close ends the service: it takes no more requests, and returns when those that it took are answered. End
// its context to hurry them.
func (s *Service) Close() error {
	s.mu.Lock()
	subs := s.subs
	s.subs = nil
	s.mu.Unlock()
	var errs []error
	for _, sub := range subs {
		errs = append(errs, sub.Drain())
	}
	s.cancel()
	return errors.Join(errs...)
}

// request answers one, on the goroutine of the bus that read it.
func (s *Service) request(e *endpoint, m bus.Message) {
	x := &exchange{service: s, endpoint: e, ctx: marked(s.ctx, m), reply: m.Reply, begun: time.Now()}
	if span.On() {
		x.ctx, x.span = span.Begin(x.ctx, span.Server, s.api.Name+"/"+e.handler.Name)
		x.span.Method("nats", s.api.Name, e.handler.Name)
	}
	in, err := decode(e.handler, m.Data)
	if err != nil {
		s.api.Refuse(x.ctx, e.handler.Name, err)
		x.Answer(err, false)
		return
	}
	s.api.Answer(x.ctx, e.handler, in, x)
}

// marked is the context of a request with what it is known by; see package ground/trace.
func marked(ctx context.Context, m bus.Message) context.Context {
	id := m.Header[trace.RequestField]
	if !trace.GoodRequestID(id) {
		id = trace.NewRequestID()
	}
	place, _ := trace.Parse(m.Header[trace.ParentField], m.Header[trace.StateField])
	return trace.Mark(ctx, id, place)
}

// decode reads a message: JSON, or the words of a query.
func decode(h *api.Handler, data []byte) (reflect.Value, error) {
	v := reflect.New(h.In.Go()).Elem()
	data = bytes.TrimSpace(data)
	if len(data) > 0 && (data[0] == '{' || data[0] == '[' || data[0] == '"') {
		return v, h.In.Decode(h.In.Unwrap(data), v)
	}
	return v, h.In.DecodeQuery(string(data), v)
}

func (s *Service) send(m bus.Message, answer any) {
	data, err := json.Marshal(answer)
	if err == nil && m.Reply != "" {
		err = s.bus.Publish(m.Reply, data)
	}
	if err != nil {
		s.logger.Warn("an answer could not be sent", "api", s.self.Name, "subject", m.Subject, "err", err)
	}
}

// oneLine makes a text fit for a header.
func oneLine(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	const most = 1 << 10
	if len(text) > most {
		text = fmt.Sprintf("%s...", strings.ToValidUTF8(text[:most], ""))
	}
	return text
}
