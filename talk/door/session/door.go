package session

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// Door is an API's door for sessions. It is made by New, and an http.Handler. mu guards what is below it.
type Door struct {
	api   *api.API
	opts  Options
	paces map[*api.Handler]*pace
	over  sync.WaitGroup // of the sessions

	mu       sync.Mutex
	sessions map[*session]struct{}
	leaving  bool
}

// New returns an API's door.
func New(a *api.API, opts *Options) *Door {
	d := &Door{api: a, opts: opts.withDefaults(), paces: map[*api.Handler]*pace{}, sessions: map[*session]struct{}{}}
	for _, h := range a.Handlers() {
		d.paces[h] = &pace{}
	}
	return d
}

// Asked says whether a request is for a session.
func Asked(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 && strings.EqualFold(r.Header["Upgrade"][0], "websocket")
}

// ServeHTTP has a session with a client, and returns when it and its handlers are over.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(edge.Mark(w, r))
	if err := d.check(r); err != nil {
		d.refuse(w, r, err)
		return
	}
	s := newSession(d)
	leaving, err := d.enter(s)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	w.Header().Set(frame.FieldsHeader, frame.Traces)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       frame.Protocols(),
		InsecureSkipVerify: true, // check has looked at the origin
	})
	if err != nil && !leaving {
		d.exit(s)
	}
	switch {
	case err != nil: // Accept has answered
		d.opts.Logger.Debug("no session", "api", d.api.Name, "peer", r.RemoteAddr, "err", err)
	case leaving: // a browser's page would not hear of a status in place of a session
		conn.Close(websocket.StatusServiceRestart, dialAgain)
	default:
		s.run(r.Context(), conn, rand.Text(), r.RemoteAddr)
		s.wg.Wait() // for handlers that do not heed their contexts
	}
}

// refuse answers a request that no session comes of.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	d.opts.Logger.Debug("no session", "api", d.api.Name, "peer", r.RemoteAddr, "request_id", trace.RequestID(r.Context()), "err", err)
	problem.Write(w, err)
}

const dialAgain = "the service goes away: dial again"

// enter counts a session in, unless there are too many: then it says so. leaving says that the service goes away, and does
// not count it.
func (d *Door) enter(s *session) (leaving bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.leaving:
		return true, nil
	case len(d.sessions) >= d.opts.MaxSessions:
		return false, fault.Text(fault.Busy, "open session", "", "there are "+strconv.Itoa(d.opts.MaxSessions)+" already").WithHint("try again in a moment")
	}
	d.over.Add(1)
	d.sessions[s] = struct{}{}
	return false, nil
}

func (d *Door) exit(s *session) {
	d.mu.Lock()
	delete(d.sessions, s)
	d.mu.Unlock()
	d.over.Done()
}

// Leave tells all sessions that the service goes away: what is under way is answered, then each is closed
// with 1012, and so is each new one. It does not wait.
func (d *Door) Leave() {
	d.mu.Lock()
	d.leaving = true
	all := make([]*session, 0, len(d.sessions))
	for s := range d.sessions {
		all = append(all, s)
	}
	d.mu.Unlock()
	for _, s := range all {
		s.leave(websocket.StatusServiceRestart, dialAgain)
	}
}

// Wait returns when the sessions that Leave told are over, and the API knows.
func (d *Door) Wait() { d.over.Wait() }

// Open is how many sessions there are.
func (d *Door) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sessions)
}
