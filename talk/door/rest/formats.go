package rest

import (
	"github.com/universal-server/become/talk/door/media"
)

// html is written by this package.
var html = &media.Format{Name: "html", Type: "text/html; charset=utf-8"}

// takes are the formats of items that are sent, gives those of answers.
var (
	takes = []*media.Format{media.JSON, media.XML, media.CBOR, media.Plain, media.Form}
	gives = []*media.Format{media.JSON, media.XML, media.CBOR, media.Plain, html}
)

func formatNamed(name string) *media.Format {
	for _, f := range gives {
		if f.Name == name {
			return f
		}
	}
	return nil
}
