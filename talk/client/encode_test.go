package client_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/client"
	"github.com/universal-server/become/talk/frame"
)

// Counted has a text that notes how often it is written.
type Counted struct{ Text noted }

type noted string

var written atomic.Int32

func (n noted) MarshalText() ([]byte, error)  { written.Add(1); return []byte(n), nil }
func (n *noted) UnmarshalText(b []byte) error { *n = noted(b); return nil }

// older is a server that says nothing of places in traces.
type older struct{ http.ResponseWriter }

func (w older) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w older) WriteHeader(status int) {
	w.Header().Del(frame.FieldsHeader)
	w.ResponseWriter.WriteHeader(status)
}

func TestAsk_WritesARequestOnce(t *testing.T) {
	s := start(t, nil, false)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(older{w}, r) }))
	defer old.Close()
	place, ok := trace.Parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	if !ok {
		t.Fatal("it is no place")
	}
	ctx := trace.Mark(t.Context(), "it", place)
	for _, c := range []struct {
		address string
		want    int32
	}{{s.http.URL, 1}, {old.URL, 2}} { // what an older server cannot read is written again, without the place
		one := dial(t, c.address, &client.Options{})
		m := Counted{"x"}
		written.Store(0)
		if _, err := ask(ctx, one, m); fault.KindOf(err) != fault.NotFound {
			t.Fatal(err) // the server has no such request, and could read this one
		}
		if got := written.Load(); got != c.want {
			t.Errorf("%s: it was written %d times, want %d", c.address, got, c.want)
		}
		if _, err := ask(t.Context(), one, m); fault.KindOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		if got := written.Load(); got != c.want+1 {
			t.Errorf("%s: without a place it was written %d times", c.address, got-c.want)
		}
		one.Close()
	}
}
