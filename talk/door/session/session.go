package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/frame"
)

// session is one client. One goroutine at a time reads and answers what it has read, see read; whoever has something to write
// and finds nobody writing becomes the writer. mu guards what is below it.
type session struct {
	door    *Door
	slots   chan struct{} // holds an item for each request under way
	wg      sync.WaitGroup
	stalled atomic.Bool   // the reader waits for a slot
	heard   atomic.Int64  // the time of the last message
	gone    chan struct{} // closed when the client was cut off
	over    chan struct{} // closed when nothing more is written
	told    chan struct{} // closed when the API knows that it is over

	// Set by run, before others need them.
	place  trace.Place     // that it came from, in a trace
	name   string          // what its requests are known by, each with its own id
	ctx    context.Context // of the requests
	cancel context.CancelFunc
	conn   *websocket.Conn
	format frame.Format
	own    *api.Session
	log    *slog.Logger
	late   *bound      // cuts off who does not take a message
	beat   *time.Timer // asks whether the client is there
	hand   *hand       // passes the reading on when a request takes long

	mu      sync.Mutex
	open    bool // it can be written to: run has begun, and not ended
	ended   bool
	running int // requests under way
	out     queue
	ending  *ending // why it is to end
	closing bool    // the closing handshake has begun
	cut     bool    // the connection is closed without one
}

// ending is why a session ends.
type ending struct {
	code   websocket.StatusCode
	reason string
	cut    bool // without a handshake: the client's doing
}

func newSession(d *Door) *session {
	return &session{door: d, slots: make(chan struct{}, d.opts.MaxRequests), gone: make(chan struct{}), over: make(chan struct{}), told: make(chan struct{})}
}

// run has the session, until it is over.
func (s *session) run(ctx context.Context, conn *websocket.Conn, id, peer string) {
	d := s.door
	s.log = d.opts.Logger.With("api", d.api.Name, "session", id, "peer", peer)
	ctx, s.cancel = context.WithCancel(ctx)
	s.name = nameOf(ctx)
	conn.SetReadLimit(-1) // read has its own
	s.conn, s.format = conn, frame.Of(conn.Subprotocol())
	s.late = newBound(d.opts.WriteWithin, s.cutOff("it did not take a message in time"))
	s.beat = time.AfterFunc(time.Hour, s.wonder)
	s.beat.Stop()
	s.hand = newHand(func() { s.wg.Go(s.read) })
	s.begin()
	own, err := d.api.Accept(ctx, id, peer, s)
	if err != nil {
		s.leave(websocket.StatusPolicyViolation, err.Error())
	} else {
		s.log.Debug("session begins")
		s.own, s.ctx, s.place = own, own.With(ctx), trace.From(ctx)
		s.beat.Reset(d.opts.PingEvery)
	}
	s.read()
	<-s.told
}

// maxName is how long a name may be: with a request's own id it is no longer than an id of a request may be.
const maxName = 100

// nameOf is what the client has been told: the id of the request that the session began with.
func nameOf(ctx context.Context) string {
	if id := trace.RequestID(ctx); id != "" && len(id) <= maxName {
		return id
	}
	return trace.NewRequestID()
}

// last ends the session when nothing more is read; err says why not.
func (s *session) last(err error) {
	defer close(s.told)
	d := s.door
	defer d.exit(s)
	why := s.end(err)
	s.cancel()
	if why.cut {
		s.conn.CloseNow()
	} else {
		s.conn.Close(why.code, why.reason) // or waits until it is
	}
	s.log.Debug("session ends", "reason", why.reason, "abandoned", why.cut)
	switch {
	case s.own == nil: // Accept has told who had to know
	case why.cut:
		d.api.Abandon(context.WithoutCancel(s.ctx), s.own, why.reason)
	default:
		d.api.Close(context.WithoutCancel(s.ctx), s.own, why.reason)
	}
}

// begin opens the session for writers. It may be that it is to leave already.
func (s *session) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	s.finishLocked()
}

// end returns why the session ended, of which err is what its reader says. Nobody writes any more.
func (s *session) end(err error) ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		s.ending = &ending{reason: reasonOf(err), cut: true}
	}
	s.open, s.ended = false, true
	s.late.stop()
	s.beat.Stop()
	close(s.over)
	return *s.ending
}

// reasonOf says why a client's messages ended.
func reasonOf(err error) string {
	closed, ok := errors.AsType[websocket.CloseError](err)
	switch {
	case ok && closed.Reason != "":
		return "the client closed it: " + closed.Reason
	case ok:
		return "the client closed it"
	}
	return "the client is gone: " + err.Error()
}

// leave ends the session in order: no request is begun any more, and when the last one is answered it is closed. The first
// reason is the one.
func (s *session) leave(code websocket.StatusCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		s.ending = &ending{code: code, reason: short(reason)}
		s.finishLocked()
	}
}

// finishLocked closes a session that is to leave and has nothing more to do.
func (s *session) finishLocked() {
	if s.ending == nil || s.ending.cut || s.closing || !s.open || s.running > 0 || s.out.busy() {
		return
	}
	s.closing = true
	code, reason := s.ending.code, s.ending.reason
	s.wg.Go(func() { s.conn.Close(code, reason) }) // which the reader hears
}

// cutOff returns what ends the session at once.
func (s *session) cutOff(reason string) func() {
	return func() {
		s.mu.Lock()
		s.cutLocked(reason)
		s.mu.Unlock()
	}
}

func (s *session) cutLocked(reason string) {
	if s.ending == nil {
		s.ending = &ending{reason: reason, cut: true}
	}
	if !s.open || s.cut {
		return
	}
	s.cut = true
	close(s.gone)
	s.cancel()
	s.wg.Go(func() { s.conn.CloseNow() }) // it waits for the reader
}

// End is for the API: see api.Wire.
func (s *session) End(reason string) { s.leave(websocket.StatusNormalClosure, reason) }

// maxReason is how long a reason may be. Unit: bytes.
const maxReason = 120

// short makes a reason of a text.
func short(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason-3], "") + "..."
	}
	return text
}
