package metrics

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/universal-server/become/talk/door/problem"
)

const contentType = "text/plain; version=0.0.4; charset=utf-8"

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		problem.Write(w, problem.New(http.StatusMethodNotAllowed, "a scrape is a GET").With("Allow", "GET, HEAD"))
		return
	}
	body := m.text()
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// page is what is being written. own are the labels that each series has, `process="7"`.
type page struct {
	b   []byte
	own string
}

func (m *Metrics) text() []byte {
	p := &page{}
	if m.opts.Process != "" {
		p.own = label("process", m.opts.Process)
	}
	m.requests(p)
	if m.opts.Sessions != nil {
		p.single("become_api_sessions", "gauge", "Clients that are connected by a session.", float64(m.opts.Sessions()))
	}
	p.runtime()
	p.process()
	return p.b
}

func (m *Metrics) requests(p *page) {
	const total, inFlight, duration = "become_api_requests_total", "become_api_requests_in_flight", "become_api_request_duration_seconds"
	p.head(total, "counter", "Requests that were answered, by their outcome.")
	for _, f := range m.all {
		for i := range f.outcomes {
			if n := f.outcomes[i].Load(); n > 0 || i == 0 && f.request != "" { // the others when there are any
				p.sample(total, label("request", f.request)+","+label("outcome", outcomes[i]), float64(n))
			}
		}
	}
	p.head(inFlight, "gauge", "Handlers that run.")
	for _, f := range m.all[1:] {
		p.sample(inFlight, label("request", f.request), float64(f.inFlight.Load()))
	}
	p.head(duration, "histogram", "What clients waited for a handler's answer.")
	for _, f := range m.all[1:] {
		f.histogram(p, duration)
	}
}

func (f *figures) histogram(p *page, name string) {
	of, count := label("request", f.request), uint64(0)
	for i := range f.buckets {
		count += f.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		p.sample(name+"_bucket", of+","+label("le", bound), float64(count))
	}
	p.sample(name+"_sum", of, math.Float64frombits(f.sum.Load()))
	p.sample(name+"_count", of, float64(count))
}

func (p *page) head(name, kind, help string) {
	p.b = append(p.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

func (p *page) single(name, kind, help string, value float64) {
	p.head(name, kind, help)
	p.sample(name, "", value)
}

func (p *page) sample(name, labels string, value float64) {
	p.b = append(p.b, name...)
	if p.own != "" && labels != "" {
		labels = p.own + "," + labels
	} else if labels == "" {
		labels = p.own
	}
	if labels != "" {
		p.b = append(append(append(p.b, '{'), labels...), '}')
	}
	p.b = append(p.b, ' ')
	p.b = strconv.AppendFloat(p.b, value, 'g', -1, 64)
	p.b = append(p.b, '\n')
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func label(name, value string) string { return name + `="` + escaper.Replace(value) + `"` }
