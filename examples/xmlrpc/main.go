// Xmlrpc is a server for XML-RPC clients, such as Python's own.
//
//	go run ./examples/xmlrpc --listen 127.0.0.1:8000
//	python3 -c 'import xmlrpc.client as x; print(x.ServerProxy("http://127.0.0.1:8000").add(3, 5))'
//	go run ./cmd/become call --xmlrpc http://127.0.0.1:8000 add Hello World
package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/universal-server/become"
	"github.com/universal-server/become/ground/fault"
)

// Terms are two numbers or two texts; over XML-RPC the two parameters, in this order.
type Terms struct {
	X any `required:"true"`
	Y any `required:"true"`
}

func add(_ context.Context, m Terms) (any, error) {
	switch x := m.X.(type) {
	case float64:
		if y, ok := m.Y.(float64); ok {
			return number(x + y), nil
		}
	case string:
		if y, ok := m.Y.(string); ok {
			return x + y, nil
		}
	}
	return nil, fault.Text(fault.Invalid, "add", "", fmt.Sprintf("want two numbers or two texts, not %v and %v", m.X, m.Y))
}

// number is whole if it can be.
func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

// Text is one text.
type Text struct{ Text string }

func reverse(_ context.Context, m Text) (string, error) {
	var b strings.Builder
	runes := []rune(m.Text)
	for i := len(runes) - 1; i >= 0; i-- {
		b.WriteRune(runes[i])
	}
	return b.String(), nil
}

func main() {
	become.Serve(become.API("xmlrpc",
		become.Handle(add, become.RequestOptions{Name: "add", Doc: "Adds two numbers, or joins two texts.", Replies: []any{int64(0), 0.0, ""}}),
		become.Handle(reverse, become.RequestOptions{Name: "reverse", Doc: "Turns a text around."}),
	))
}
