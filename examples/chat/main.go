// Chat is a room: whoever joins hears what the others say. Its page is at /chat.
//
//	go run ./examples/chat --listen 127.0.0.1:8080
//	open http://127.0.0.1:8080/chat
//
// A program joins too, in Go with become.DialAPI, and in any other language over WebSocket:
//
//	{"id":1,"request":"Join","value":{"name":"Joe"}}
//	{"id":2,"request":"Say","value":{"text":"hello"}}
//
// Clients that are gone leave by themselves. When the service is swapped the room is a new one, and its clients join again.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/universal-server/become"
)

// What clients ask.
type (
	Join struct {
		Name string `required:"true" minLength:"1" maxLength:"40"`
	}
	Say struct {
		Text string `required:"true" minLength:"1" maxLength:"1000"`
	}
)

// What they are told.
type (
	Here  struct{ Names []string }
	Heard struct{ By int }
	Said  struct{ From, Text string }
)

//go:embed chat.html
var page []byte

// room is who is there. mu guards what is below it.
type room struct {
	mu    sync.Mutex
	names map[*become.Session]string
	said  int
}

// Join gives a client a name, and tells all who is here.
func (r *room) Join(ctx context.Context, m Join) (Here, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := become.SessionOf(ctx)
	if !ok {
		return Here{}, become.NewError(become.Invalid, "who joins stays: open a session")
	}
	for other, name := range r.names {
		if name == m.Name && other != s {
			return Here{}, become.NewError(become.Conflict, "somebody else is called "+m.Name)
		}
	}
	r.names[s] = m.Name
	return r.tellLocked(), nil
}

// Say tells all what somebody says.
func (r *room) Say(ctx context.Context, m Say) (Heard, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, _ := become.SessionOf(ctx)
	name, ok := r.names[s]
	if !ok {
		return Heard{}, become.NewError(become.Denied, "join first")
	}
	r.said++
	for other := range r.names {
		other.Send(Said{name, m.Text}) // one that does not listen is cut off, and leaves
	}
	return Heard{len(r.names)}, nil
}

// Abandoned and Closed take a client out.
func (r *room) Abandoned(ctx context.Context, _ string) { r.leave(ctx) }
func (r *room) Closed(ctx context.Context, _ string)    { r.leave(ctx) }

func (r *room) leave(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, _ := become.SessionOf(ctx)
	if _, ok := r.names[s]; ok {
		delete(r.names, s)
		r.tellLocked()
	}
}

func (r *room) tellLocked() Here {
	here := Here{Names: []string{}}
	for _, name := range r.names {
		here.Names = append(here.Names, name)
	}
	slices.SortFunc(here.Names, cmp.Compare)
	for s := range r.names {
		s.Send(here)
	}
	return here
}

// Stop says how it was, when the last client has left.
func (r *room) Stop(context.Context) error {
	fmt.Println("messages:", r.said)
	return nil
}

func main() {
	become.Serve(become.API("chat",
		become.Methods(&room{names: map[*become.Session]string{}}),
		become.Route("GET /chat", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(page)
		})),
	))
}
