package xmlrpc

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
)

// Options of a door. Nil and zero mean the defaults.
type Options struct {
	// MaxBody is how large a call may be. Unit: bytes. Default 1 MiB.
	MaxBody int64
}

// New returns an API's door for XML-RPC, to be put at /RPC2.
func New(a *api.API, opts *Options) http.Handler {
	d := &door{api: a}
	if opts != nil {
		d.maxBody = opts.MaxBody
	}
	if d.maxBody <= 0 {
		d.maxBody = 1 << 20
	}
	return d
}

type door struct {
	api     *api.API
	maxBody int64
}

// codeOf what is no call at all; what a method answers with is code 1, as Python's server has it.
const (
	codeFailed = 1
	codeParse  = -32700
)

// packFrom is the size from which Python's server packs an answer.
const packFrom = 1400

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "XML-RPC is spoken by POST", http.StatusMethodNotAllowed)
		return
	}
	body, status, err := d.body(r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	method, params, err := parserOf(body).call()
	var answer []byte
	if err != nil {
		answer = failure(&Fault{codeParse, "not XML-RPC: " + err.Error()})
	} else if v, err := d.call(r.Context(), method, params, true); err != nil {
		answer = failure(asFault(err))
	} else if answer, err = response(v); err != nil {
		answer = failure(&Fault{codeFailed, "the answer cannot be written: " + err.Error()})
	}
	send(w, r, answer)
}

func send(w http.ResponseWriter, r *http.Request, answer []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	if len(answer) > packFrom && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(answer)
		z.Close()
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

// body reads the call, unpacked.
func (d *door) body(r *http.Request) ([]byte, int, error) {
	var body io.Reader = http.MaxBytesReader(nil, r.Body, d.maxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("the call cannot be unpacked: %w", err)
		}
		body = http.MaxBytesReader(nil, z, d.maxBody)
	default:
		return nil, http.StatusNotImplemented, errors.New("the call is encoded by other than gzip")
	}
	data, err := io.ReadAll(body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the call is larger than %d bytes", d.maxBody)
	}
	return data, http.StatusBadRequest, err
}

// call runs a method and returns its answer as a tree.
func (d *door) call(ctx context.Context, method string, params []any, outer bool) (any, error) {
	if strings.HasPrefix(method, "system.") {
		return d.system(ctx, method, params, outer)
	}
	h, err := d.api.Find(method)
	if err != nil {
		d.api.Refuse(nil, err)
		return nil, fmt.Errorf("method %.100q is not supported: %w", method, err)
	}
	in := reflect.New(h.In.Go()).Elem()
	tree, err := arguments(h, params)
	if err == nil {
		err = h.In.DecodeTree(tree, in)
	}
	if err != nil {
		err = fault.New(fault.Invalid, "call", h.Name, err)
		d.api.Refuse(h, err)
		return nil, err
	}
	reply, err := d.within(ctx, h, in)
	if err != nil {
		return nil, err
	}
	return reply.Type.Tree(reply.Value)
}

// within runs a handler and does not wait for it longer than its deadline.
func (d *door) within(ctx context.Context, h *api.Handler, in reflect.Value) (api.Reply, error) {
	type outcome struct {
		reply api.Reply
		err   error
	}
	done := make(chan outcome, 1)
	go d.api.Answer(ctx, h, in, func(reply api.Reply, err error, _ bool) { done <- outcome{reply, err} }) // a handler that never returns keeps its place in the API, which bounds them
	o := <-done
	return o.reply, o.err
}

// arguments gives the parameters the names of the message's fields.
func arguments(h *api.Handler, params []any) (message.Object, error) {
	names := h.In.Names()
	if len(params) == 1 {
		if named, ok := params[0].(message.Object); ok && isMessage(named, names) {
			return named, nil
		}
	}
	if len(params) > len(names) {
		return nil, fmt.Errorf("%s() takes %d arguments, not %d: %s", h.Name, len(names), len(params), strings.Join(names, ", "))
	}
	all := make(message.Object, len(params))
	for i, v := range params {
		all[i] = message.Member{Name: names[i], Value: v}
	}
	return all, nil
}

// isMessage tells a struct of named arguments from one that is the only argument: one of its names is a field's,
// or there is nothing else that it could be.
func isMessage(o message.Object, names []string) bool {
	for _, m := range o {
		for _, name := range names {
			if m.Name == name {
				return true
			}
		}
	}
	return len(names) != 1 || len(o) == 0
}
