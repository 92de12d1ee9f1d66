package cgi

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/stock/internal/program"
)

// Why a script is ended before it ends itself.
var (
	errGone       = errors.New("its client has gone")
	errSlow       = errors.New("its client takes nothing")
	errLate       = errors.New("its time is over")
	errClosing    = errors.New("the server ends")
	errRedirected = errors.New("it wants another path to be asked for")
	errEnough     = errors.New("nobody wants its body")
)

// run is a script that runs for a request. Its keeper is a goroutine that sees it gone; mu
// guards what is below it.
type run struct {
	p          *process.Process
	out        *output
	takeWithin time.Duration // see Options
	stopped    chan struct{} // closed by the first stop
	done       chan struct{} // closed when it is gone

	mu  sync.Mutex
	why error // of the first stop
}

// start starts a script in the slot that the caller has, which its keeper gives back.
func (h *Handler) start(r *http.Request, s script, b *body, log *slog.Logger) (*run, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fault.New(fault.Busy, "start", s.file, errClosing)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := program.SetBlocking(out, true); err != nil {
		in.Close()
		return nil, err
	}
	said := program.Lines(func(text string) { log.Warn("says", "text", text) })
	p, err := process.Start(h.life, process.Spec{
		Path: s.file, Dir: filepath.Dir(s.file), Env: append(environ(r, s, b.size, h.o.Authorization), h.env...),
		Stdio: [3]*os.File{b.file, out, nil}, Stderr: said,
	})
	if err != nil {
		in.Close()
		return nil, err
	}
	one := &run{p: p, takeWithin: h.o.TakeWithin, out: &output{file: in}, stopped: make(chan struct{}), done: make(chan struct{})}
	h.runs.Go(func() {
		defer close(one.done)
		defer func() { <-h.slots }()
		h.keep(one, log)
		select {
		case <-p.Done():
			said.Close()
		default: // it could not be killed
		}
	})
	return one, nil
}

// keep sees a script end, or ends it.
func (h *Handler) keep(r *run, log *slog.Logger) {
	began := time.Now()
	late := time.NewTimer(h.o.Within)
	defer late.Stop()
	select {
	case <-r.p.Done():
	case <-r.stopped:
	case <-late.C:
		r.stop(errLate)
	case <-h.life.Done():
		r.stop(errClosing)
	}
	log = log.With("pid", r.p.PID(), "took", time.Since(began).Round(time.Millisecond).String())
	if why := r.reason(); why != nil {
		r.out.stop()
		if err := program.End(h.life, r.p, h.o.Grace); err != nil {
			log.Error("the script is not gone", "err", err)
			return
		}
		log = log.With("reason", why)
	}
	r.out.ended()
	<-r.p.Done()
	log.Info("ended", "exit", r.p.Exit().Reason)
}

// stop ends the script, and the reading of its output. The first one counts.
func (r *run) stop(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = why
		close(r.stopped)
	}
}

// leave stops the script because its client has gone. One that has only ended its own side, as nc
// does behind a pipe, cannot be told from that before something is sent to it: it has a
// moment for its answer.
func (r *run) leave(grace time.Duration, answered <-chan struct{}) {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-t.C:
		r.stop(errGone)
	case <-answered:
	case <-r.done:
	}
}

// reason is why the script was stopped, or nil.
func (r *run) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}
