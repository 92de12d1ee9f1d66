package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
)

// packFrom is the size from which an answer is worth packing: more than one segment.
const packFrom = 1400

// answer writes a reply, or the error in its place.
func (d *door) answer(w http.ResponseWriter, r *http.Request, reply api.Reply, err error) {
	if err != nil {
		problem.Write(w, err)
		return
	}
	b := buffers.Get().(*bytes.Buffer)
	defer giveBack(b)
	plain := wantsPlain(r)
	body, err := d.encode(b.AvailableBuffer(), reply, plain)
	if err != nil {
		var wrong message.Problems
		if errors.As(err, &wrong) {
			err = problem.New(http.StatusUnprocessableEntity, "the answer cannot be written: "+wrong.Error())
		}
		problem.Write(w, err)
		return
	}
	h := w.Header()
	kind := "application/json"
	if plain {
		kind = "application/json; profile=plain"
	}
	h["Content-Type"] = []string{kind}
	h.Add("Vary", "Accept")
	if len(body) >= packFrom && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Add("Vary", "Accept-Encoding")
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(body)
		z.Close()
		return
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.Write(body)
	b.Write(body) // keeps what has grown
}

// wantsPlain says whether the client wants the message alone.
func wantsPlain(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "profile=plain") || strings.Contains(accept, `profile="plain"`)
}

func (d *door) encode(b []byte, reply api.Reply, plain bool) ([]byte, error) {
	if plain {
		b, err := reply.Type.Append(b, reply.Value)
		return append(b, '\n'), err
	}
	b, err := d.api.AppendReply(b, reply)
	return append(b, '\n'), err
}
