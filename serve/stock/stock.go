package stock

import (
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/universal-server/become/serve/service"
)

// Server is a server that the binary can become.
type Server struct {
	// Name is what it is called: "static".
	Name string
	// Short says what it is, in one line.
	Short string
	// Args is how its arguments are written, "DIR"; empty when it takes none.
	Args string
	// Long and Example are more help.
	Long, Example string
	// Listen is where it listens when nobody says otherwise, as in master.Spec.
	Listen []string
	// Procs is how many processes it has when nobody says otherwise.
	Procs int
	// Flags are its settings that are no arguments.
	Flags []Flag

	settings func(Words) (json.RawMessage, error)
	check    func(json.RawMessage) error
	service  func(Env) service.Service
}

// Flag is a setting on the command line.
type Flag struct {
	Name string // "cache-bytes"
	Doc  string
	// Kind is as in message.Leaf: BOOL, NUMBER, TEXT, DURATION.
	Kind string
	// Default is its value as text; empty if there is none to tell.
	Default string
	// List says that it may be repeated.
	List bool
}

// Words are what a command line says to a server.
type Words struct {
	Args []string
	// Flags are the flags that were given, by name, with their values in order.
	Flags map[string][]string
	// Settings are all settings as JSON. With them there are no other words.
	Settings json.RawMessage
	// Dir is what relative paths are relative to.
	Dir string
}

// abs is a path, absolute.
func (w Words) abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(w.Dir, path)
}

// Env is what a server has in its process.
type Env struct {
	// Logger is told what happens.
	Logger *slog.Logger
	// Out gets what a server prints about each request or connection.
	Out io.Writer
}

// All returns the servers in the order in which people read of them.
func All() []Server {
	return []Server{staticServer(), proxyServer(), inetdServer(), cgiServer(), casServer(), echoServer(), timeServer()}
}

// Find returns the server with a name.
func Find(name string) (Server, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// Services returns all servers as what a process can serve as.
func Services(env Env) []service.Service {
	var out []service.Service
	for _, s := range All() {
		out = append(out, s.service(env))
	}
	return out
}

// Settings makes settings of a command line, empty if the server has none. The errors are of kind
// fault.Invalid.
func (s Server) Settings(w Words) (json.RawMessage, error) { return s.settings(w) }

// Factory returns the settings that it has when nobody gives it any; empty if it has none.
func (s Server) Factory() (json.RawMessage, error) {
	f := s.service(Env{}).Factory
	if f == nil {
		return nil, nil
	}
	return f()
}

// CheckRoute says why its connections cannot be routed by a policy; see service.Kind.
func (s Server) CheckRoute(policy string) error { return s.service(Env{}).Kind.CheckRoute(policy) }

// Check says whether the server could start with these settings on this machine, now.
func (s Server) Check(settings json.RawMessage) error { return s.check(settings) }
