// Hello is the smallest web service.
//
//	go run ./examples/hello --listen :8080
//
// Ask it with curl http://127.0.0.1:8080/you. Ctrl-C ends it when the requests under way are answered.
package main

import (
	"fmt"
	"net/http"

	"github.com/universal-server/become"
)

func main() {
	become.Serve(become.HTTP("hello", http.HandlerFunc(hello)))
}

func hello(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[1:]
	if name == "" {
		name = "world"
	}
	fmt.Fprintf(w, "hello %s\n", name)
}
