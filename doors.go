package become

import (
	"net/http"

	"github.com/universal-server/become/talk/door/problem"
)

// The doors of an API, by the names of sockets that have no other.
const (
	doorWeb     = "web"
	doorREST    = "rest"
	doorXMLRPC  = "xmlrpc"
	doorSession = "session"
)

// atSockets serves all of them, but at a socket that is named after one that one only.
func atSockets(all http.Handler, one map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := SocketName(r.Context()); name != "" && one[name] != nil {
			one[name].ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
}

// noDoor answers what a door is not for.
func noDoor(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { problem.Write(w, problem.New(status, text)) })
}
