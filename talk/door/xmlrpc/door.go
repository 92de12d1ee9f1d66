package xmlrpc

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/origin"
	"github.com/universal-server/become/talk/door/problem"
)

// Options of a door. Nil and zero mean the defaults.
type Options struct {
	// MaxBody is how large a call may be. Unit: bytes. Default 1 MiB.
	MaxBody int64
	// Origins are the origins whose pages may call, "*" for any. Default: none but the server's own.
	Origins []string
}

// New returns an API's door for XML-RPC, to be put at /RPC2.
func New(a *api.API, opts *Options) http.Handler {
	d := &door{api: a}
	if opts != nil {
		d.maxBody, d.callers.Origins = opts.MaxBody, opts.Origins
	}
	if d.maxBody <= 0 {
		d.maxBody = 1 << 20
	}
	return d
}

type door struct {
	api     *api.API
	maxBody int64
	callers origin.Policy // web pages that may call
}

// codeOf what is no call at all; what a method answers with is code 1, as Python's server has it.
const (
	codeFailed = 1
	codeParse  = -32700
)

// packFrom is the size from which Python's server packs an answer.
const packFrom = 1400

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := d.body(r)
	if err != nil {
		problem.Write(w, err)
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

// body reads the call, unpacked. Errors are for problem.Write: they are HTTP's, and not XML-RPC's.
func (d *door) body(r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		return nil, problem.New(http.StatusMethodNotAllowed, "XML-RPC is spoken by POST").With("Allow", http.MethodPost)
	}
	if d.callers.Forged(r) { // a browser asks nobody before it sends a form
		return nil, problem.New(http.StatusForbidden, "a page of another origin may not call this")
	}
	body, err := media.Body(r, d.maxBody)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, media.Broken(err)
	}
	return data, nil
}

// call runs a method and returns its answer as a tree.
func (d *door) call(ctx context.Context, method string, params []any, outer bool) (any, error) {
	if strings.HasPrefix(method, "system.") {
		return d.system(ctx, method, params, outer)
	}
	h, err := d.api.Find(method)
	if err != nil {
		d.api.Refuse(ctx, method, err)
		return nil, fmt.Errorf("method %.100q is not supported: %w", method, err)
	}
	in := reflect.New(h.In.Go()).Elem()
	tree, err := arguments(h, params)
	if err == nil {
		err = h.In.DecodeTree(tree, in)
	}
	if err != nil {
		err = fault.New(fault.Invalid, "call", h.Name, err)
		d.api.Refuse(ctx, h.Name, err)
		return nil, err
	}
	return d.within(ctx, h, in)
}

// within runs a handler and does not wait for it longer than its deadline.
func (d *door) within(ctx context.Context, h *api.Handler, in reflect.Value) (any, error) {
	x := &exchange{over: make(chan error, 1)}
	go d.api.Answer(ctx, h, in, x) // a handler that never returns keeps its place in the API, which bounds them
	if err := <-x.over; err != nil {
		return nil, err
	}
	return x.value, nil
}

// exchange is a call whose answer is awaited.
type exchange struct {
	value written
	over  chan error
}

// Encode is for the API: see api.Exchange.
func (x *exchange) Encode(reply api.Reply) error {
	tree, err := reply.Type.Tree(reply.Value)
	if err != nil {
		return err
	}
	var w writer
	if err := w.inner(tree); err != nil {
		return fault.Text(fault.Invalid, "write answer", "", err.Error())
	}
	x.value = w.Bytes()
	return nil
}

// Answer is for the API: see api.Exchange.
func (x *exchange) Answer(err error, _ bool) { x.over <- err }

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
