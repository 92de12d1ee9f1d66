// Crunch is a network API: messages, and the functions that answer them.
//
//	go run ./examples/crunch --listen 127.0.0.1:5051
//	curl -s 'http://127.0.0.1:5051/Multiply?x=1.5&y=2.25' | jq '.value[1].value'
package main

import (
	"context"

	"github.com/universal-server/become"
)

type (
	Multiply struct{ X, Y float64 }
	Divide   struct {
		X float64
		Y float64 `required:"true" doc:"what to divide by"` // others that are not sent are zero
	}
	Output struct{ Value float64 }
)

func main() {
	become.Serve(become.API("crunch", become.Settings(&become.HostPort{Host: "127.0.0.1", Port: 5051}),
		become.Handle(func(_ context.Context, m Multiply) (Output, error) { return Output{m.X * m.Y}, nil }),
		become.Handle(func(_ context.Context, m Divide) (Output, error) { return Output{m.X / m.Y}, nil }),
	))
}
