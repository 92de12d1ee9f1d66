package examples_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/trace/otlp/otlptest"
)

// traces leaves the trace of a request. The node of these tests is in another environment, so its workers pass the trace on and make no spans; see
// cmd/become/testdata/traces.txtar for one that has it.
func traces(t *testing.T, p program) {
	collector := &otlptest.Collector{}
	server := httptest.NewServer(collector)
	defer server.Close()
	p.env = append(p.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=20")
	addr, interrupt := serving(t, p)
	request(t, "GET", "http://"+addr+"/Sum?upto=2", "").want(t, 200, `"value":5`)
	interrupt() // sends what waits
	want := "GET /Sum (server, traces)\n  call sum (client, traces)\n"
	if p.alone {
		want += `    run sum (server, traces)
      call square (client, traces)
        run square (server, traces)
      call square (client, traces)
        run square (server, traces)
`
	}
	late, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := collector.Wait(late, func(all []otlptest.Span) bool { return len(all) >= strings.Count(want, "\n") })
	if text := otlptest.Tree(got); err != nil || text != want {
		t.Errorf("%v: got\n%swant\n%s", err, text, want)
	}
}
