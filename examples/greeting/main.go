// Greeting is a web service whose settings change while it serves.
//
//	go run ./examples/greeting --listen :8080 --greeting hi
//
// says hi from the start on. On a node
//
//	become up &
//	become deploy ./examples/greeting --listen :8080
//	become settings greeting greeting=hi
//	curl http://127.0.0.1:8080
//
// the same processes greet otherwise, from the next request on.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/universal-server/become"
)

// Settings are read by handlers while they change: so there is a pointer to those of now, and none of them is ever written to.
type Settings struct {
	Greeting string `doc:"what is said" minLength:"1" maxLength:"100"`
	Names    []string
}

var now atomic.Pointer[Settings]

// Changed is called when there are others, before the next request if all goes well.
func (s *Settings) Changed(context.Context) error {
	for _, name := range s.Names {
		if name == "nobody" {
			return fmt.Errorf("there is no use in greeting %s", name)
		}
	}
	now.Store(s)
	return nil
}

func main() {
	factory := &Settings{Greeting: "hello", Names: []string{"world"}}
	now.Store(factory)
	become.Serve(become.HTTP("greeting", http.HandlerFunc(greet), become.ServiceOptions{Settings: factory}))
}

func greet(w http.ResponseWriter, _ *http.Request) {
	s := now.Load()
	for _, name := range s.Names {
		fmt.Fprintf(w, "%s %s from process %d\n", s.Greeting, name, os.Getpid())
	}
}
