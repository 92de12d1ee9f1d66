// Server is what the survival tests deploy. It answers with its version and its process's
// number; the linker sets what it is and how it misbehaves.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/universal-server/become"
)

var (
	version = "1"
	// mode: exit before it serves, hang and never be ready, crash under its first requests.
	mode = ""
)

// enough requests are a load, and not somebody who looks.
const enough = 20

func main() {
	become.Init() // who wants to know what this is gets an answer
	if mode == "exit" {
		fmt.Fprintln(os.Stderr, "there is no table users")
		os.Exit(3)
	}
	become.Serve(become.HTTP("server", http.HandlerFunc(answer), become.ServiceOptions{Ready: ready}))
}

func ready(ctx context.Context) error {
	if mode == "hang" {
		<-ctx.Done()
	}
	return ctx.Err()
}

var requests atomic.Int64

func answer(w http.ResponseWriter, _ *http.Request) {
	if mode == "crash" && requests.Add(1) == enough {
		// Not here: net/http would bear it.
		go panic("out of luck")
	}
	fmt.Fprintf(w, "%s %d\n", version, os.Getpid())
}
