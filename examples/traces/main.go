// Traces is a request that several processes work for: an API's handler calls a function, which calls another one, or submits a job. A collector
// shows it as one trace, see docs/TRACES.md:
//
//	export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
//	go run ./examples/traces --listen 127.0.0.1:8080
//	curl 'http://127.0.0.1:8080/Sum?upto=3'
//
// or, in processes of a node:
//
//	become up
//	become deploy ./examples/traces
package main

import (
	"context"
	"errors"
	"sync"

	"github.com/universal-server/become"
)

var square = become.Func("square", func(_ context.Context, n int) (int, error) {
	if n < 0 {
		return 0, become.GiveUp(errors.New("no negative numbers"))
	}
	return n * n, nil
})

// sum adds the squares up to a number, each made in a call of its own.
var sum = become.Func("sum", func(ctx context.Context, upto int) (total int, err error) {
	fleet, err := become.Here(ctx)
	for n := 1; n <= upto && err == nil; n++ {
		var one int
		one, err = square.Call(ctx, fleet, n)
		total += one
	}
	return total, err
})

type (
	// Sum asks for the sum of squares up to a number.
	Sum struct{ Upto int }
	// Later asks for the square of a number, by a job.
	Later struct{ N int }
	// Again asks this API for Sum, at the bus.
	Again struct{ Upto int }
	// Output is the answer of all of them.
	Output struct{ Value int }
)

// fleet is joined when somebody wants it first.
var fleet = sync.OnceValues(func() (*become.Fleet, error) { return become.Connect(context.Background(), become.Config{}) })

func addUp(ctx context.Context, m Sum) (Output, error) {
	f, err := fleet()
	if err != nil {
		return Output{}, err
	}
	n, err := sum.Call(ctx, f, m.Upto)
	return Output{n}, err
}

func later(ctx context.Context, m Later) (Output, error) {
	f, err := fleet()
	if err != nil {
		return Output{}, err
	}
	job, err := square.Submit(ctx, f, m.N)
	if err != nil {
		return Output{}, err
	}
	n, err := job.Wait(ctx)
	return Output{n}, err
}

func again(ctx context.Context, m Again) (Output, error) {
	f, err := fleet()
	if err != nil {
		return Output{}, err
	}
	return become.Ask[Output](ctx, f.API("traces"), Sum(m))
}

func main() {
	become.Serve(become.API("traces", become.Handle(addUp), become.Handle(later), become.Handle(again)))
}
