package metrics

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
)

// Options of metrics. Nil and zero mean the defaults.
type Options struct {
	// Process is the value of a label that tells processes apart which serve one port. Default: there is no label.
	Process string
	// Sessions returns how many sessions are open. Default: there are none.
	Sessions func() int
}

// Metrics are the figures of one API in this process. It is an api.Meter and an http.Handler.
type Metrics struct {
	opts   Options
	all    []*figures // the first is of requests that there are not, the others in the order of their names
	figure map[*api.Handler]*figures
}

// New returns metrics of no request yet.
func New(opts *Options) *Metrics {
	none := &figures{}
	m := &Metrics{all: []*figures{none}, figure: map[*api.Handler]*figures{nil: none}}
	if opts != nil {
		m.opts = *opts
	}
	return m
}

// Cover adds the requests of an API. It is called once, before the first request.
func (m *Metrics) Cover(a *api.API) {
	for _, h := range a.Handlers() {
		f := &figures{request: h.Name}
		m.figure[h] = f
		m.all = append(m.all, f)
	}
}

// Named is the meter of requests that are no handlers of the API, as those of resources: they are known by their names. It is made by
// Metrics.Named.
type Named struct {
	of     *Metrics
	figure map[string]*figures
}

// Named returns a meter of no such request yet.
func (m *Metrics) Named() *Named {
	return &Named{m, map[string]*figures{"": m.all[0]}}
}

// Cover adds requests. It is called before the first of them.
func (n *Named) Cover(requests []string) {
	for _, name := range requests {
		f := &figures{request: name}
		n.figure[name] = f
		n.of.all = append(n.of.all, f)
	}
}

// Running notes that a request begins to be answered, 1, or has been, -1.
func (n *Named) Running(request string, change int) {
	if f := n.figure[request]; f != nil {
		f.inFlight.Add(int64(change))
	}
}

// Answered notes an answer that is there, and what its client waited for it. Of requests without a name only errors count.
func (n *Named) Answered(request string, took time.Duration, err error) {
	f := n.figure[request]
	if f == nil || request == "" && err == nil {
		return
	}
	f.answered(took, err)
}

// Refused notes a request that was answered with an error at once.
func (n *Named) Refused(request string, err error) {
	if f := n.figure[request]; f != nil {
		f.count(err)
	}
}

// bounds are those of the histogram, from what a handler of memory alone takes to the default timeout. Unit: seconds.
var bounds = [...]float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// outcomes are ok and the kinds of errors.
var outcomes = []string{"ok", "internal", "invalid", "not_found", "conflict", "busy", "canceled", "deadline", "lost", "remote", "denied"}

// figures are those of one request.
type figures struct {
	request  string
	inFlight atomic.Int64
	outcomes [11]atomic.Uint64              // as outcomes are
	buckets  [len(bounds) + 1]atomic.Uint64 // each without those before; the last has no bound
	sum      atomic.Uint64                  // the bits of a number. Unit: seconds
}

// Running is as in api.Meter.
func (m *Metrics) Running(h *api.Handler, change int) {
	if f := m.figure[h]; f != nil {
		f.inFlight.Add(int64(change))
	}
}

// Answered is as in api.Meter.
func (m *Metrics) Answered(h *api.Handler, took time.Duration, err error) {
	if f := m.figure[h]; f != nil {
		f.answered(took, err)
	}
}

// answered counts an answer.
func (f *figures) answered(took time.Duration, err error) {
	f.count(err)
	seconds, i := took.Seconds(), 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	f.buckets[i].Add(1)
	for {
		old := f.sum.Load()
		if f.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+seconds)) {
			return
		}
	}
}

// Refused is as in api.Meter.
func (m *Metrics) Refused(h *api.Handler, err error) {
	if f := m.figure[h]; f != nil {
		f.count(err)
	}
}

func (f *figures) count(err error) {
	place := 0
	if err != nil {
		place = 1 + int(fault.ParseKind(problem.Of(err).Kind)) // as the client is told
	}
	f.outcomes[place].Add(1)
}
