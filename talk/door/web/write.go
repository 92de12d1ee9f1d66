package web

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

// answer writes a reply, or the error in its place.
func (d *door) answer(w http.ResponseWriter, r *http.Request, f form, reply api.Reply, err error) {
	if err != nil {
		problem.Write(w, err)
		return
	}
	b := buffers.Get().(*bytes.Buffer)
	defer giveBack(b)
	body, err := d.encode(b.AvailableBuffer(), f, reply)
	if err != nil {
		var wrong message.Problems
		if errors.As(err, &wrong) {
			err = problem.New(http.StatusUnprocessableEntity, "cannot write answer: "+wrong.Error())
		}
		problem.Write(w, err)
		return
	}
	kind := f.format.Type
	if f.plain && (f.format == media.JSON || f.format == media.CBOR) {
		kind += "; profile=plain"
	}
	if h := w.Header(); h["Vary"] == nil {
		h["Vary"] = varies
	} else {
		h.Add("Vary", "Accept")
	}
	media.Write(w, r, http.StatusOK, kind, body)
	b.Write(body) // keeps what has grown
}

// varies is shared: nobody changes a header's values in place.
var varies = []string{"Accept"}

// encode writes a reply: as JSON and CBOR in its envelope, unless the message alone is wanted. In XML the element names the
// type, and a text is for people.
func (d *door) encode(b []byte, f form, reply api.Reply) ([]byte, error) {
	switch {
	case f.plain:
	case f.format == media.JSON:
		b, err := d.api.AppendReply(b, reply)
		return append(b, '\n'), err
	case f.format == media.CBOR:
		tree, err := reply.Type.Tree(reply.Value)
		if err != nil {
			return b, err
		}
		named := []any{d.api.Name + "." + reply.Type.Name(), tree, []any{}}
		return message.AppendCBOR(b, message.Object{{Name: "value", Value: named}})
	}
	return f.format.Append(reply.Type, b, reply.Value)
}
