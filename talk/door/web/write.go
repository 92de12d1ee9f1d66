package web

import (
	"bytes"
	"net/http"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

// exchange is a request whose answer is awaited.
type exchange struct {
	door *door
	w    http.ResponseWriter
	r    *http.Request
	form form
	buf  *bytes.Buffer // has the reply, once it is encoded
}

// Encode is for the API: see api.Exchange.
func (x *exchange) Encode(reply api.Reply) error {
	b := media.Buffer()
	body, err := x.door.encode(b.AvailableBuffer(), x.form, reply)
	if err != nil {
		media.GiveBack(b)
		return err
	}
	b.Write(body)
	x.buf = b
	return nil
}

// Answer is for the API: see api.Exchange.
func (x *exchange) Answer(err error, late bool) {
	w := x.w
	if late {
		w.Header().Set("Connection", "close") // the handler still has it
		defer http.NewResponseController(w).Flush()
	}
	if err != nil {
		problem.Write(w, err)
		return
	}
	defer media.GiveBack(x.buf)
	kind := x.form.format.Type
	if x.form.plain && (x.form.format == media.JSON || x.form.format == media.CBOR) {
		kind += "; profile=plain"
	}
	if h := w.Header(); h["Vary"] == nil {
		h["Vary"] = varies
	} else {
		h.Add("Vary", "Accept")
	}
	media.Write(w, x.r, http.StatusOK, kind, x.buf.Bytes())
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
