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
	f := m.figure[h]
	if f == nil {
		return
	}
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
