package session

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// Door is an API's door for sessions. It is made by New, and an http.Handler. mu guards what is below it.
type Door struct {
	api  *api.API
	opts Options
	over sync.WaitGroup // of the sessions

	mu       sync.Mutex
	sessions map[*session]struct{}
	leaving  bool
}

// New returns an API's door.
func New(a *api.API, opts *Options) *Door {
	return &Door{api: a, opts: opts.withDefaults(), sessions: map[*session]struct{}{}}
}

// Asked says whether a request is for a session.
func Asked(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 && strings.EqualFold(r.Header["Upgrade"][0], "websocket")
}

// ServeHTTP has a session with a client, and returns when it and its handlers are over.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); !d.allowed(origin, r.Host) {
		problem.Write(w, fault.Text(fault.Denied, "open session from", origin, "its pages are of another origin"))
		return
	}
	s := newSession(d)
	entered := d.enter(s)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       frame.Protocols(),
		InsecureSkipVerify: true, // the origin was checked above
	})
	if err != nil && entered {
		d.exit(s)
	}
	switch {
	case err != nil: // Accept has answered
		d.opts.Logger.Debug("no session", "api", d.api.Name, "peer", r.RemoteAddr, "err", err)
	case !entered: // a browser's page would not hear of a status in place of a session
		conn.Close(websocket.StatusServiceRestart, dialAgain)
	default:
		s.run(r.Context(), conn, rand.Text(), r.RemoteAddr)
		s.wg.Wait() // for handlers that do not heed their contexts
	}
}

const dialAgain = "the service goes away: dial again"

// allowed says whether a browser's page may connect. Programs send no origin.
func (d *Door) allowed(origin, host string) bool {
	if origin == "" || slices.Contains(d.opts.Origins, "*") || slices.Contains(d.opts.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

func (d *Door) enter(s *session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leaving {
		return false
	}
	d.over.Add(1)
	d.sessions[s] = struct{}{}
	return true
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
