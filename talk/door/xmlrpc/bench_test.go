package xmlrpc_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/xmlrpc"
)

type Terms struct{ X, Y int }

func BenchmarkDoor(b *testing.B) {
	h, err := api.Handle(func(_ context.Context, m Terms) (int, error) { return m.X + m.Y, nil }, &api.HandlerOptions{Name: "add"})
	if err != nil {
		b.Fatal(err)
	}
	a, err := api.New("adder", []*api.Handler{h}, nil)
	if err != nil {
		b.Fatal(err)
	}
	door := xmlrpc.New(a, nil)
	const call = `<?xml version='1.0'?><methodCall><methodName>add</methodName><params>` +
		`<param><value><int>3</int></value></param><param><value><int>5</int></value></param></params></methodCall>`
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest("POST", "/RPC2", strings.NewReader(call)))
		if !strings.Contains(w.Body.String(), "<int>8</int>") {
			b.Fatal(w.Body)
		}
	}
}
