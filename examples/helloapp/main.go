// Helloapp is any http.Handler beside an API, at the same port.
//
//	go run ./examples/helloapp --listen 127.0.0.1:8080
//	curl http://127.0.0.1:8080/foo/bar
//	curl 'http://127.0.0.1:8080/Hello?name=you'
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/universal-server/become"
)

// helloapp says what it was asked, as the application of the seed does with environ and start_response.
func helloapp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "Request method: %s\r\nResource      : %s\r\n", r.Method, r.URL.Path)
}

// Hello is a request of the API.
type Hello struct {
	Name string `default:"world" maxLength:"100"`
}

// Greeting is its answer.
type Greeting struct{ Text string }

func main() {
	become.Serve(become.API("helloapp",
		become.Route("/foo/", http.HandlerFunc(helloapp)),
		become.Handle(func(_ context.Context, m Hello) (Greeting, error) { return Greeting{"hello " + m.Name}, nil }),
	))
}
