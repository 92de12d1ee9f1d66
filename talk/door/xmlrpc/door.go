package xmlrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace/span"
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

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, params, err := d.read(r)
	if f, ok := errors.AsType[*Fault](err); ok {
		send(w, r, failure(f))
		return
	}
	if err != nil {
		problem.Write(w, err)
		return
	}
	if r.URL.Path == usualPath {
		span.Of(r.Context()).Routed(r, usualPath)
	}
	if strings.HasPrefix(method, "system.") {
		v, err := d.system(r.Context(), method, params, true)
		send(w, r, document(v, err))
		return
	}
	h, in, err := d.accept(r.Context(), method, params)
	if err != nil {
		span.Of(r.Context()).Judge(err) // its status is 200
		send(w, r, failure(asFault(err)))
		return
	}
	span.Of(r.Context()).Method("xmlrpc", d.api.Name, h.Name)
	d.api.Answer(r.Context(), h, in, &exchange{w: w, r: r})
}

// read reads the call. What is no XML-RPC is a *Fault; other errors are HTTP's.
func (d *door) read(r *http.Request) (method string, params []any, err error) {
	b := media.Buffer()
	defer media.GiveBack(b) // what is parsed shares nothing with it
	if err := d.body(r, b); err != nil {
		return "", nil, err
	}
	if method, params, err = parse(b.Bytes()); err != nil {
		err = &Fault{codeParse, "not XML-RPC: " + err.Error()}
	}
	return method, params, err
}

// document is an answer, or the fault in its place.
func document(v any, err error) []byte {
	if err != nil {
		return failure(asFault(err))
	}
	answer, err := response(v)
	if err != nil {
		return failure(&Fault{codeFailed, "the answer cannot be written: " + err.Error()})
	}
	return answer
}

func send(w http.ResponseWriter, r *http.Request, answer []byte) {
	media.Write(w, r, http.StatusOK, "text/xml", answer)
}

// body reads the call, unpacked. Errors are for problem.Write: they are HTTP's, and not XML-RPC's.
func (d *door) body(r *http.Request, b *bytes.Buffer) error {
	if r.Method != http.MethodPost {
		return problem.New(http.StatusMethodNotAllowed, "XML-RPC is spoken by POST").With("Allow", http.MethodPost)
	}
	if d.callers.Forged(r) { // a browser asks nobody before it sends a form
		return problem.New(http.StatusForbidden, "a page of another origin may not call this")
	}
	body, err := media.Body(r, d.maxBody)
	if err != nil {
		return err
	}
	if _, err := b.ReadFrom(body); err != nil {
		return media.Broken(err)
	}
	return nil
}

// call runs a method of several in one call, and does not wait for it longer than its deadline.
func (d *door) call(ctx context.Context, method string, params []any) (any, error) {
	if strings.HasPrefix(method, "system.") {
		return d.system(ctx, method, params, false)
	}
	h, in, err := d.accept(ctx, method, params)
	if err != nil {
		return nil, err
	}
	x := &oneOfMany{over: make(chan error, 1)}
	go d.api.Answer(ctx, h, in, x) // a handler that never returns keeps its place in the API, which bounds them
	if err := <-x.over; err != nil {
		return nil, err
	}
	return x.value, nil
}

// accept finds who is called, and with what.
func (d *door) accept(ctx context.Context, method string, params []any) (*api.Handler, reflect.Value, error) {
	var in reflect.Value
	h, err := d.api.Find(method)
	if err != nil {
		d.api.Refuse(ctx, method, err)
		return nil, in, fmt.Errorf("method %.100q is not supported: %w", method, err)
	}
	in = reflect.New(h.In.Go()).Elem()
	tree, err := arguments(h, params)
	if err == nil {
		err = h.In.DecodeTree(tree, in)
	}
	if err != nil {
		err = fault.New(fault.Invalid, "call", h.Name, err)
		d.api.Refuse(ctx, h.Name, err)
		return nil, in, err
	}
	return h, in, nil
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
