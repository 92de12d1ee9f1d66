package cgi

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/serve/stock/internal/program"
)

// mostRedirects is how many local redirects a request may take.
const mostRedirects = 5

// Handler answers requests by scripts. It is safe for many goroutines. mu guards closed, and
// that no script is started after it.
type Handler struct {
	place place
	o     Options
	env   []string
	slots chan struct{} // holds an item for each script
	spool spool

	life context.Context // ends when Close begins
	end  context.CancelFunc
	runs sync.WaitGroup // the keepers of scripts

	mu     sync.Mutex
	closed bool
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler for one script, or for those in a folder. A nil o is the defaults. Errors:
// fault.NotFound and fault.Denied as the system says, fault.Denied also for a script that is not
// executable, fault.Invalid for limits below zero.
func New(path string, o *Options) (*Handler, error) {
	h := &Handler{}
	if o != nil {
		h.o = *o
	}
	if err := h.o.check(); err != nil {
		return nil, err
	}
	h.o = h.o.withDefaults()
	var err error
	if h.env, err = program.Merge(ownEnv(), h.o.Env); err != nil {
		return nil, err
	}
	if h.place, err = newPlace(path); err != nil {
		return nil, err
	}
	h.slots = make(chan struct{}, h.o.Max)
	h.spool.limit = h.o.Spool
	h.life, h.end = context.WithCancel(context.Background())
	return h, nil
}

// Close ends the scripts that run and returns when they are gone. Later requests are answered 503.
func (h *Handler) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	h.runs.Wait()
	h.place.close()
	return nil
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log := h.o.Logger.With("peer", r.RemoteAddr, "method", r.Method, "path", r.URL.Path)
	if strings.ContainsRune(r.URL.Path, 0) || !strings.HasPrefix(r.URL.Path, "/") {
		answer(w, http.StatusBadRequest)
		return
	}
	b, err := h.receive(w, r)
	if err != nil {
		log.Info("the body cannot be taken", "reason", err)
		return
	}
	defer b.close()
	for range mostRedirects + 1 {
		if r = h.once(w, r, b, log); r == nil {
			return
		}
		b = &body{}
	}
	log.Warn("its scripts ask for one another", "after", mostRedirects)
	answer(w, http.StatusBadGateway)
}

// once answers by one script, or returns the request that the script wants to be answered instead.
func (h *Handler) once(w http.ResponseWriter, r *http.Request, b *body, log *slog.Logger) *http.Request {
	s, err := h.place.find(r.URL.Path)
	if err != nil {
		if errors.Is(err, errDenied) {
			log.Warn("not found", "file", s.file, "reason", err)
		}
		answer(w, http.StatusNotFound)
		return nil
	}
	log = log.With("script", s.file)
	if !h.admit(r.Context()) {
		log.Warn("refused: as many scripts run as may", "most", h.o.Max)
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable) // also to a client that has ended its own side only
		return nil
	}
	run, err := h.start(r, s, b, log)
	if err != nil {
		<-h.slots
		log.Error("cannot start the script", "err", err, "hint", startHint(err))
		answer(w, startStatus(err))
		return nil
	}
	answered := make(chan struct{})
	defer close(answered)
	defer context.AfterFunc(r.Context(), func() { run.leave(h.o.Grace, answered) })()
	defer run.out.stop()
	in := bufio.NewReader(run.out)
	head, err := readHead(in, h.o.MaxHead)
	switch {
	case err != nil:
		run.refuse(w, err, log)
	case head.local != "":
		run.stop(errRedirected)
		<-run.done
		return h.redirected(w, r, head.local, log)
	default:
		run.pass(w, r, head, in, log)
	}
	return nil
}

// admit waits for its turn, a place among those who run.
func (h *Handler) admit(ctx context.Context) bool {
	select {
	case h.slots <- struct{}{}:
		return true
	default:
	}
	late := time.NewTimer(h.o.WaitWithin)
	defer late.Stop()
	select {
	case h.slots <- struct{}{}:
		return true
	case <-late.C:
	case <-ctx.Done():
	case <-h.life.Done():
	}
	return false
}

// redirected is the request for the path that a script named, without the body.
func (h *Handler) redirected(w http.ResponseWriter, r *http.Request, path string, log *slog.Logger) *http.Request {
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.ContainsRune(u.Path, 0) {
		log.Warn("its Location is no path", "location", path)
		answer(w, http.StatusBadGateway)
		return nil
	}
	next := r.Clone(r.Context())
	next.URL, next.RequestURI = u, path
	if r.Method != http.MethodHead {
		next.Method = http.MethodGet
	}
	next.Body, next.ContentLength = http.NoBody, 0
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Md5"} {
		next.Header.Del(name)
	}
	return next
}

// answer sends a status with its own text.
func answer(w http.ResponseWriter, code int) {
	http.Error(w, http.StatusText(code), code)
}
