package web

import (
	"github.com/universal-server/become/ground/message"
)

// Described is something beside the requests at the same port, of which the page and the description tell too.
type Described interface {
	// Name is its first path element.
	Name() string
	// Doc says what it is, in a sentence; it may be empty.
	Doc() string
	// Fields are the names of an item's fields.
	Fields() []string
	// Paths describes it as path items of OpenAPI 3.1, by their paths.
	Paths(s *message.Schemas) map[string]any
}

// Options of a door. Nil and zero mean the defaults.
type Options struct {
	// MaxBody is how large a request's body may be. Unit: bytes. Default 1 MiB.
	MaxBody int64
	// Origins are the origins that browsers may call from, "*" for any (CORS). Default: none but the server's own.
	Origins []string
	// Resources are told of on the page and in the description; they have doors of their own.
	Resources []Described
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.MaxBody <= 0 {
		out.MaxBody = 1 << 20
	}
	return out
}
