package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/metrics"
)

type Ask struct{}

// start returns metrics of an API with one request.
func start(t testing.TB, opts *metrics.Options) (*metrics.Metrics, *api.Handler) {
	h, err := api.Handle(func(context.Context, Ask) (int, error) { return 1, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := metrics.New(opts)
	a, err := api.New("test", []*api.Handler{h}, &api.Options{Meter: m})
	if err != nil {
		t.Fatal(err)
	}
	m.Cover(a)
	return m, h
}

func scrape(t testing.TB, m http.Handler) string {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("got %d %v", w.Code, w.Header())
	}
	return w.Body.String()
}

// Prometheus' own parser reads it, and its linter has nothing to say.
func TestMetrics_AreReadByPrometheus(t *testing.T) {
	m, h := start(t, &metrics.Options{Process: `7"\` + "\n", Sessions: func() int { return 2 }})
	m.Answered(h, 3*time.Millisecond, nil)
	m.Answered(h, time.Hour, errors.New("broken"))
	m.Refused(nil, fault.Text(fault.NotFound, "find", "x", "there is none"))
	m.Running(h, 1)
	text := scrape(t, m)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") { // these are called as Prometheus' client calls them
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	histogram := all["become_api_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if histogram.GetSampleCount() != 2 || histogram.GetSampleSum() != 3600.003 {
		t.Errorf("got %v", histogram)
	}
	for _, b := range histogram.GetBucket() {
		want := uint64(0)
		if b.GetUpperBound() >= .005 {
			want = 1
		}
		if b.GetUpperBound() > 30 {
			want = 2
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("bucket %v: got %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
		}
	}
	for name, family := range all {
		for _, one := range family.GetMetric() {
			if l := one.GetLabel(); len(l) == 0 || l[0].GetName() != "process" || l[0].GetValue() != `7"\`+"\n" {
				t.Errorf("%s has the labels %v", name, l)
			}
		}
	}
	want := []string{"go_goroutines", "go_memstats_alloc_bytes_total", "go_info", "become_api_sessions"}
	if runtime.GOOS == "linux" {
		want = append(want, "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds")
	}
	for _, name := range want {
		one := all[name].GetMetric()
		if len(one) != 1 || one[0].GetGauge().GetValue()+one[0].GetCounter().GetValue() <= 0 && name != "go_gc_cycles_total_gc_cycles_total" {
			t.Errorf("%s: got %v", name, one)
		}
	}
	if start := all["process_start_time_seconds"]; start != nil {
		if ago := float64(time.Now().Unix()) - start.GetMetric()[0].GetGauge().GetValue(); ago < -2 || ago > 3600 {
			t.Errorf("the process began %v seconds ago", ago)
		}
	}
}

func TestMetrics_NameEachKindOfError(t *testing.T) {
	m, h := start(t, nil)
	for k := fault.Internal; k <= fault.Denied; k++ {
		m.Refused(h, fault.Text(k, "do", "it", "no"))
		if want := `become_api_requests_total{request="Ask",outcome="` + strings.ReplaceAll(k.String(), " ", "_") + `"} 1`; !strings.Contains(scrape(t, m), want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestMetrics_LoseNothing(t *testing.T) {
	m, h := start(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				m.Running(h, 1)
				m.Answered(h, time.Second, nil)
				m.Running(h, -1)
			}
		})
	}
	wg.Wait()
	for _, want := range []string{"_total{request=\"Ask\",outcome=\"ok\"} 8000\n", "_sum{request=\"Ask\"} 8000\n", "_in_flight{request=\"Ask\"} 0\n"} {
		if text := scrape(t, m); !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if n := testing.AllocsPerRun(100, func() { m.Running(h, 1); m.Answered(h, time.Second, nil); m.Running(h, -1) }); n > 0 {
		t.Errorf("counting takes %v objects", n)
	}
}
