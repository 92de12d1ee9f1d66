package micro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/door/problem"
)

// Answer is what a request was answered with.
type Answer struct {
	// Type names it, as in crunch.Output; empty if the service does not say.
	Type string
	// Value is JSON.
	Value json.RawMessage
}

// Request asks a service at the bus. Data is a message as Serve reads it. fault.NotFound when there is no such service, or it has no such
// request; an error of the service has the kind that it had there, fault.Remote if it had none.
func Request(ctx context.Context, b bus.Messenger, name, request string, data []byte) (a Answer, err error) {
	if span.On() {
		var s *span.Span
		ctx, s = span.Begin(ctx, span.Client, name+"/"+request)
		s.Method("nats", name, request)
		defer func() { s.End(err) }()
	}
	const op = "request"
	id := name + "." + request
	ask := bus.Message{Subject: id, Data: data}
	trace.Inject(ctx, func(name, value string) {
		if ask.Header == nil {
			ask.Header = map[string]string{}
		}
		ask.Header[name] = value
	})
	m, err := b.Request(ctx, ask)
	if err != nil {
		return Answer{}, fault.New(fault.KindOf(err), op, id, cause(err))
	}
	if text := m.Header[headerError]; text != "" {
		return Answer{}, failed(op, id, text, m.Data)
	}
	a, ok := opened(m.Data)
	if !ok {
		return Answer{}, fault.Text(fault.Remote, op, id, "the answer is no JSON")
	}
	return a, nil
}

// opened takes an answer out of its envelope, if it is in one; false for what is no JSON.
func opened(data []byte) (Answer, bool) {
	if a, ok := ours(data); ok {
		return a, true
	}
	var envelope struct{ Value json.RawMessage }
	var named []json.RawMessage
	a := Answer{Value: data}
	if json.Unmarshal(data, &envelope) == nil && json.Unmarshal(envelope.Value, &named) == nil && len(named) == 3 && json.Unmarshal(named[0], &a.Type) == nil {
		a.Value = named[1]
	}
	return a, json.Valid(a.Value)
}

// What Serve writes around the type and the value of an answer: {"value":["crunch.Output",{"value":3.375},[]]}.
const (
	envelopeBegin = `{"value":["`
	envelopeEnd   = `,[]]}`
)

// ours takes an answer out of the envelope that Serve writes, without a look at each token of it; false for any other.
func ours(data []byte) (a Answer, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(envelopeBegin))
	if !ok {
		return a, false
	}
	if rest, ok = bytes.CutSuffix(rest, []byte(envelopeEnd)); !ok {
		return a, false
	}
	name, value, ok := bytes.Cut(rest, []byte(`",`))
	if !ok || bytes.ContainsFunc(name, special) || !jsontext.Value(value).IsValid() {
		return a, false
	}
	return Answer{Type: string(name), Value: bytes.TrimSpace(value)}, true
}

// special says that a character of a JSON string may not be what it looks like.
func special(r rune) bool { return r < ' ' || r > '~' || r == '\\' || r == '"' }

// cause is what went wrong, without what it was tried on.
func cause(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}

func failed(op, id, text string, data []byte) error {
	var p problem.Problem
	if json.Unmarshal(data, &p) != nil || p.Detail == "" {
		return fault.Text(fault.Remote, op, id, text)
	}
	e := fault.Text(fault.ParseKind(p.Kind), op, id, strings.TrimSpace(p.Detail))
	if p.Hint != "" {
		e = e.WithHint(p.Hint)
	}
	return e
}

// Requests lists the requests of a service at the bus. fault.NotFound when there is none of that name.
func Requests(ctx context.Context, b bus.Messenger, name string) ([]string, error) {
	const op = "ask what there is of"
	m, err := b.Request(ctx, bus.Message{Subject: "$SRV.INFO." + name})
	if err != nil {
		return nil, fault.New(fault.KindOf(err), op, name, cause(err))
	}
	var i info
	if err := json.Unmarshal(m.Data, &i); err != nil {
		return nil, fault.New(fault.Remote, op, name, err)
	}
	all := make([]string, len(i.Endpoints))
	for n, e := range i.Endpoints {
		all[n] = e.Name
	}
	return all, nil
}
