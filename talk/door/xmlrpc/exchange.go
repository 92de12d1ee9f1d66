package xmlrpc

import (
	"net/http"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
)

// exchange is a call by itself.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	answer []byte // a document, once it is encoded
}

// Encode is for the API: see api.Exchange.
func (x *exchange) Encode(reply api.Reply) error {
	tree, err := reply.Type.Tree(reply.Value)
	if err != nil {
		return err
	}
	if x.answer, err = response(tree); err != nil {
		return unwritable(err)
	}
	return nil
}

func unwritable(err error) error { return fault.Text(fault.Invalid, "write answer", "", err.Error()) }

// Answer is for the API: see api.Exchange.
func (x *exchange) Answer(err error, late bool) {
	if err != nil {
		span.Of(x.r.Context()).Judge(err) // its status is 200
		x.answer = failure(asFault(err))
	}
	if late {
		x.w.Header().Set("Connection", "close") // the handler still has it
	}
	send(x.w, x.r, x.answer)
	if late {
		http.NewResponseController(x.w).Flush()
	}
}

// oneOfMany is a call of several, whose answers are sent together.
type oneOfMany struct {
	value written
	over  chan error
}

// Encode is for the API: see api.Exchange.
func (x *oneOfMany) Encode(reply api.Reply) error {
	tree, err := reply.Type.Tree(reply.Value)
	if err != nil {
		return err
	}
	var w writer
	if err := w.inner(tree); err != nil {
		return unwritable(err)
	}
	x.value = w.Bytes()
	return nil
}

// Answer is for the API: see api.Exchange.
func (x *oneOfMany) Answer(err error, _ bool) { x.over <- err }
