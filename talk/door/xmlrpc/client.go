package xmlrpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/universal-server/become/ground/elements"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
)

// usualPath is where XML-RPC is, unless an address says otherwise.
const usualPath = "/RPC2"

// maxAnswer bounds what a client reads.
const maxAnswer = 64 << 20

// Call calls a method of the server at an address, http://127.0.0.1:8000 or with a path; without one it is /RPC2. The
// parameters and the answer are trees, see message.Type.Tree. The error is a *Fault when the server answers with one;
// else fault.Lost when it cannot be reached, fault.Invalid for a bad address or parameter, fault.Remote for an answer that is none.
func Call(ctx context.Context, client *http.Client, address, method string, params ...any) (v any, err error) {
	const op = "call"
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.Text(fault.Invalid, op, address, "want an address as in http://127.0.0.1:8000/RPC2")
	}
	if u.Path == "" {
		u.Path = usualPath
	}
	body, err := request(method, params)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, method, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, op, address, err)
	}
	r.Header.Set("Content-Type", "text/xml")
	if client == nil {
		client = http.DefaultClient
	}
	ctx, s := span.Begin(ctx, span.Client, "xmlrpc")
	if s.Recorded() {
		s.Name("xmlrpc " + method)
		s.Method("xmlrpc", "", method)
		s.Text("server.address", u.Hostname())
	}
	defer func() { s.End(err) }()
	trace.Inject(ctx, r.Header.Set)
	res, err := client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fault.New(fault.KindOf(ctx.Err()), op, method, context.Cause(ctx))
		}
		return nil, fault.New(fault.Lost, op, method+" at "+u.Host, fault.Reason(err)).WithHint("is a server there? the address is " + u.String())
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return nil, fault.Text(fault.Remote, op, method, fmt.Sprintf("%s: %s", res.Status, text))
	}
	v, failed, err := newParser(io.LimitReader(res.Body, maxAnswer)).answer()
	if err != nil {
		return nil, fault.New(fault.Remote, op, method, fmt.Errorf("the answer is not XML-RPC: %w", err))
	}
	if failed != nil {
		return nil, failed
	}
	return v, nil
}

// answer reads a methodResponse.
func (p *parser) answer() (v any, failed *Fault, err error) {
	if err := p.open("methodResponse"); err != nil {
		return nil, nil, err
	}
	tok, err := p.next()
	if err != nil {
		return nil, nil, err
	}
	if elements.Shown(tok) == "<fault>" {
		if err := p.open("value"); err != nil {
			return nil, nil, err
		}
		v, err := p.value()
		if err != nil {
			return nil, nil, err
		}
		return nil, faultOf(v), nil
	}
	if elements.Shown(tok) != "<params>" {
		return nil, nil, fmt.Errorf("want <params> or <fault>, not %s", elements.Shown(tok))
	}
	all, err := p.params()
	if err != nil {
		return nil, nil, err
	}
	if len(all) != 1 {
		return nil, nil, fmt.Errorf("there are %d answers", len(all))
	}
	return all[0], nil, nil
}

func faultOf(v any) *Fault {
	f := &Fault{Text: "the server failed"}
	o, _ := v.(message.Object)
	for _, m := range o {
		switch x := m.Value.(type) {
		case int64:
			f.Code = x
		case string:
			f.Text = x
		}
	}
	return f
}
