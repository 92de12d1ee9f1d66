// Notes is a REST API: items that are kept, with an ETag for each value of them.
//
//	go run ./examples/notes --listen 127.0.0.1:8080
//
//	curl -i -X PUT http://127.0.0.1:8080/notes/milk --json '{"title":"Milk"}' -H 'If-None-Match: *'
//	curl -i http://127.0.0.1:8080/notes/milk
//	curl -i -X PUT http://127.0.0.1:8080/notes/milk --json '{"title":"Bread"}' -H 'If-Match: "…"'    # the ETag of before; another is 412
//	curl http://127.0.0.1:8080/notes -H 'Accept: application/xml'
//
// With a node (become up) they are kept on it, and any number of such servers are one to their clients.
package main

import "github.com/universal-server/become"

// Note is what is kept.
type Note struct {
	Title string   `required:"true" maxLength:"200" doc:"in a few words"`
	Text  string   `maxLength:"100000"`
	Tags  []string `maxLength:"20"`
	Done  bool
}

func main() {
	become.Serve(become.API("notes", become.APIOptions{Doc: "Notes to be kept."},
		become.Resource("notes", become.FleetStore[Note]("notes"), become.ResourceOptions{Doc: "what is not to be forgotten"}),
	))
}
