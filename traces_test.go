package become_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/universal-server/become"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/door/xmlrpc"
)

// byItself runs a test in a process of its own: OpenTelemetry's provider is the process's. It reports whether this is that process.
func byItself(t *testing.T) bool {
	const child = "BECOME_TEST_ITSELF"
	if os.Getenv(child) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), child+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// spans keeps what has ended, and sets the provider of a program that has its own.
type spans struct{ *tracetest.SpanRecorder }

func ownSpans() spans {
	r := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(r)))
	return spans{r}
}

// tree has a line for each span since the last call: its kind, its name, how it ended if it failed, under its parent; those beside each other in the order of
// their names.
func (s spans) tree() []string {
	all := s.Ended()
	s.Reset()
	slices.SortStableFunc(all, func(a, b sdk.ReadOnlySpan) int { return strings.Compare(a.Name(), b.Name()) })
	there := map[string]bool{}
	for _, one := range all {
		there[one.SpanContext().SpanID().String()] = true
	}
	var out []string
	var tell func(under, indent string)
	tell = func(under, indent string) {
		for _, one := range all {
			parent := one.Parent().SpanID().String()
			if !there[parent] {
				parent = ""
			}
			if parent != under {
				continue
			}
			line := indent + one.SpanKind().String() + " " + one.Name()
			if one.Status().Code.String() == "Error" {
				line += " failed"
			}
			out = append(out, line)
			tell(one.SpanContext().SpanID().String(), indent+"  ")
		}
	}
	tell("", "")
	return out
}

func (s spans) want(t *testing.T, what string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.tree()); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

type (
	split struct{ Upto int }
	whole struct{ N int }
	paper struct{ Title string }
)

// traced is an API with all of its doors, whose handler makes a span with what a program makes spans with.
func traced(t *testing.T) *quiet {
	api := become.API("traced",
		become.Handle(func(ctx context.Context, m split) (whole, error) {
			_, s := otel.Tracer("mine").Start(ctx, "of the program")
			s.End()
			switch {
			case m.Upto < 0:
				return whole{}, errors.New("broken")
			case m.Upto == 0:
				panic("nothing")
			}
			return whole{m.Upto}, nil
		}),
		become.Resource("papers", become.MemoryStore[paper]()),
		become.Route("GET /files/{name}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, become.RequestID(r.Context())) })),
		become.Route("/crash", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })),
	)
	q := &quiet{}
	q.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q.busy.Add(1)
		defer q.busy.Done()
		api.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(q.Close)
	return q
}

// quiet is a server of which can be known when it has done what it does: a client has its answer before.
type quiet struct {
	*httptest.Server
	busy sync.WaitGroup
}

func ask(t *testing.T, method, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return // the route that crashes
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

func TestTraces_EveryDoorHasSpans(t *testing.T) {
	if !byItself(t) {
		return
	}
	s, server := ownSpans(), traced(t)
	for _, c := range []struct {
		method, path, body string
		want               []string
	}{
		{"GET", "/split?upto=3", "", []string{"server GET /split", "  internal of the program"}},
		{"POST", "/split", `{"upto":-1}`, []string{"server POST /split failed", "  internal of the program"}},
		{"POST", "/split", `{"upto":0}`, []string{"server POST /split failed", "  internal of the program"}},
		{"GET", "/split?upto=x", "", []string{"server GET /split"}},
		{"GET", "/none?of=this", "", []string{"server GET"}},
		{"HACK", "/split", "", []string{"server HTTP /split"}},
		{"GET", "/", "", []string{"server GET /"}},
		{"PUT", "/papers/milk", `{"title":"Milk"}`, []string{"server PUT /papers/{id}"}},
		{"GET", "/papers", "", []string{"server GET /papers"}},
		{"GET", "/papers/none", "", []string{"server GET /papers/{id}"}},
		{"GET", "/files/a.txt", "", []string{"server GET /files/{name}"}},
		{"POST", "/crash", "{}", []string{"server POST /crash failed"}},
		{"GET", "/metrics", "", nil},
		{"GET", "/healthz", "", nil},
	} {
		ask(t, c.method, server.URL+c.path, c.body)
		server.busy.Wait()
		s.want(t, c.method+" "+c.path, c.want...)
	}
}

func TestTraces_XMLRPCHasASpanForEachOfSeveralCalls(t *testing.T) {
	if !byItself(t) {
		return
	}
	s, server := ownSpans(), traced(t)
	call := func(name string, n int64) message.Object {
		return message.Object{{Name: "methodName", Value: name}, {Name: "params", Value: []any{n}}}
	}
	for _, c := range []struct {
		params []any
		method string
		want   []string
	}{
		{[]any{int64(3)}, "split", []string{"client xmlrpc split", "  server POST /RPC2", "    internal of the program"}},
		{[]any{int64(-1)}, "split", []string{"client xmlrpc split failed", "  server POST /RPC2 failed", "    internal of the program"}},
		{[]any{"x"}, "split", []string{"client xmlrpc split failed", "  server POST /RPC2"}},
		{[]any{[]any{call("split", 1), call("none", 1)}}, "system.multicall", []string{
			"client xmlrpc system.multicall", "  server POST /RPC2", "    internal system.multicall", "    internal traced/split", "      internal of the program",
		}},
	} {
		if _, err := xmlrpc.Call(t.Context(), nil, server.URL, c.method, c.params...); (err != nil) != strings.Contains(c.want[0], "failed") {
			t.Errorf("%s: %v", c.method, err)
		}
		server.busy.Wait()
		s.want(t, c.method, c.want...)
	}
}

func TestTraces_SessionsPassPlacesOn(t *testing.T) {
	if !byItself(t) {
		return
	}
	s, server := ownSpans(), traced(t)
	c, err := become.DialAPI(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := become.Ask[whole](t.Context(), c, split{3}); err != nil {
			t.Error(err)
		}
		s.want(t, "a request", "client ask split", "  server traced/split", "    internal of the program")
	}
	if _, err := become.Ask[whole](t.Context(), c, split{-1}); err == nil {
		t.Error("it did not fail")
	}
	s.want(t, "one that fails", "client ask split failed", "  server traced/split failed", "    internal of the program")
}

// Servers of before refuse a request with a member that they do not know, and do not say that they know it.
func TestTraces_ServersOfBeforeAreAskedAsBefore(t *testing.T) {
	if !byItself(t) {
		return
	}
	s := ownSpans()
	api := become.API("traced", become.Handle(func(_ context.Context, m split) (whole, error) { return whole(struct{ N int }{m.Upto}), nil }))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.Handler().ServeHTTP(mute{w}, r)
	}))
	defer server.Close()
	c, err := become.DialAPI(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := become.Ask[whole](t.Context(), c, split{3}); err != nil {
		t.Error(err)
	}
	s.want(t, "a request", "client ask split", "server traced/split")
}

// mute keeps a server from saying what members it knows.
type mute struct{ http.ResponseWriter }

func (m mute) WriteHeader(status int) {
	m.Header().Del("Become-Fields")
	m.ResponseWriter.WriteHeader(status)
}

func (m mute) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func TestTraces_FunctionsAndJobsGoOnWhereTheyWereCalled(t *testing.T) {
	if !byItself(t) {
		return
	}
	s, f := ownSpans(), alone(t)
	ctx, own := otel.Tracer("mine").Start(soon(t), "all")
	if n, err := double.Call(ctx, f, 2); n != 4 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := even.Call(ctx, f, 3); err == nil {
		t.Error("it did not fail")
	}
	var mapped sync.WaitGroup
	mapped.Go(func() {
		for a := range double.Map(ctx, f, slices.Values(make([]int, 5000))) {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
	})
	mapped.Wait()
	job, err := double.Submit(ctx, f, 4)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := job.Wait(ctx); n != 8 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	own.End()
	f.Close() // the last span of a worker ends a moment after its answer was sent
	tasks, byMap := 0, map[string]bool{}
	for _, one := range s.Ended() {
		if one.Name() == "map double" {
			byMap[one.SpanContext().SpanID().String()] = true
		}
	}
	for _, one := range s.Ended() {
		if one.SpanContext().TraceID() != own.SpanContext().TraceID() {
			t.Errorf("%s is in a trace of its own", one.Name())
		}
		if byMap[one.Parent().SpanID().String()] {
			tasks += tasksOf(one)
		}
	}
	if tasks != 5000 {
		t.Errorf("the spans of a map are of %d tasks", tasks)
	}
	want := []string{
		"internal all", "  client call double", "    server run double", "  client call even failed", "    server run even failed",
		"  client map double", "    server run double", "  producer submit double", "    consumer run double",
	}
	if diff := cmp.Diff(want, slices.Compact(s.tree())); diff != "" {
		t.Error(diff)
	}
}

func tasksOf(s sdk.ReadOnlySpan) int {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key("become.tasks") {
			return int(kv.Value.AsInt64())
		}
	}
	return 1
}

// Without a provider the place of a trace goes everywhere all the same.
func TestTraces_PlacesArePassedOnByWhoMakesNoSpans(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	place, _ := trace.Parse(parent, "a=1")
	ctx := trace.Mark(soon(t), "id", place)
	f := alone(t)
	if got, err := whereAmI.Call(ctx, f, 0); got != parent+" a=1" || err != nil {
		t.Errorf("a call is at %q, %v", got, err)
	}
	job, err := whereAmI.Submit(ctx, f, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := job.Wait(ctx); got != parent+" a=1" || err != nil {
		t.Errorf("a job is at %q, %v", got, err)
	}
	if got, err := whereAmI.Call(soon(t), f, 0); got != "" || err != nil {
		t.Errorf("a call from nowhere is at %q, %v", got, err)
	}
	server := httptest.NewServer(become.API("traced", become.Handle(func(ctx context.Context, _ split) (paper, error) {
		return paper{trace.From(ctx).String()}, nil
	})).Handler())
	defer server.Close()
	c, err := become.DialAPI(ctx, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := become.Ask[paper](ctx, c, split{}); got.Title != parent || err != nil {
		t.Errorf("a session's request is at %v, %v", got, err)
	}
}

var whereAmI = become.Func("where_am_i", func(ctx context.Context, _ int) (string, error) {
	place := trace.From(ctx)
	return strings.TrimSpace(place.String() + " " + place.State), nil
})
