package xmlrpc

import (
	"context"
	"fmt"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
)

const maxCalls = 1000

// helps are the methods that every server has, with what they do.
var helps = map[string]string{
	"system.listMethods":     "lists the methods there are",
	"system.methodHelp":      "says what a method does",
	"system.methodSignature": "gives the types of a method: its answer's, then its parameters'",
	"system.multicall":       "makes several calls: of each {methodName, params} comes [answer], or a fault",
}

// system answers the methods of introspection.
func (d *door) system(ctx context.Context, method string, params []any, outer bool) (any, error) {
	switch method {
	case "system.listMethods":
		all := []any{}
		for _, h := range d.api.Handlers() {
			all = append(all, h.Name)
		}
		for _, name := range []string{"system.listMethods", "system.methodHelp", "system.methodSignature", "system.multicall"} {
			all = append(all, name)
		}
		return all, nil
	case "system.multicall":
		if !outer {
			return nil, fault.Text(fault.Invalid, "call", method, "recursive system.multicall forbidden")
		}
		return d.multicall(ctx, params)
	case "system.methodHelp", "system.methodSignature":
	default:
		return nil, fault.Text(fault.NotFound, "find request", method, "method is not supported")
	}
	if len(params) != 1 {
		return nil, fault.Text(fault.Invalid, "call", method, "want one argument, the name of a method")
	}
	name, _ := params[0].(string)
	if help, ok := helps[name]; ok {
		return map[bool]any{true: help, false: "signatures not supported"}[method == "system.methodHelp"], nil
	}
	h, err := d.api.Find(name)
	if err != nil {
		return nil, err
	}
	if method == "system.methodHelp" {
		return h.Doc, nil
	}
	return []any{signature(h)}, nil
}

// signature is the answer's type and those of the parameters.
func signature(h *api.Handler) []any {
	all := []any{word1(h.Replies[0])}
	for _, name := range h.In.Names() {
		all = append(all, word1(h.In.Field(name)))
	}
	return all
}

// word1 is XML-RPC's name of a type.
func word1(t *message.Type) string {
	switch t.Shape() {
	case message.Bool:
		return "boolean"
	case message.Whole:
		return "int"
	case message.Number:
		return "double"
	case message.Bytes:
		return "base64"
	case message.Time:
		return "dateTime.iso8601"
	case message.Array:
		return "array"
	case message.Struct:
		return "struct"
	}
	return "string"
}

func (d *door) multicall(ctx context.Context, params []any) (any, error) {
	calls, ok := []any(nil), len(params) == 1
	if ok {
		calls, ok = params[0].([]any)
	}
	if !ok {
		return nil, fault.Text(fault.Invalid, "call", "system.multicall", "want one argument, an array of calls")
	}
	if len(calls) > maxCalls {
		return nil, fault.Text(fault.Invalid, "call", "system.multicall", fmt.Sprintf("%d calls, the limit is %d", len(calls), maxCalls))
	}
	all := make([]any, len(calls))
	for i, one := range calls {
		method, args := callOf(one)
		v, err := d.oneOf(ctx, method, args)
		if err != nil {
			all[i] = asFault(err).tree()
			continue
		}
		all[i] = []any{v}
	}
	return all, nil
}

// oneOf makes one call of several, with a span of its own.
func (d *door) oneOf(ctx context.Context, method string, args []any) (any, error) {
	if !span.On() {
		return d.call(ctx, method, args)
	}
	ctx, s := span.Begin(ctx, span.Internal, "system.multicall")
	if h, err := d.api.Find(method); err == nil {
		s.Name(d.api.Name + "/" + h.Name)
		s.Method("xmlrpc", d.api.Name, h.Name)
	}
	v, err := d.call(ctx, method, args)
	s.Served(err)
	return v, err
}

func callOf(one any) (method string, params []any) {
	o, _ := one.(message.Object)
	for _, m := range o {
		switch m.Name {
		case "methodName":
			method, _ = m.Value.(string)
		case "params":
			params, _ = m.Value.([]any)
		}
	}
	return method, params
}
