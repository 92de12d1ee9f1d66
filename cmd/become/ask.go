package main

import (
	"context"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/micro"
	"github.com/universal-server/become/talk/door/xmlrpc"
)

// mayBeAPI says whether a name of which nothing can be called may be an API's.
func (t aim) mayBeAPI() bool { return t.code == nil && t.function != "" }

// missing says what a name is of which nothing can be called.
func (t aim) missing(ctx context.Context, s *session, want wanted, err error) error {
	if t.code != nil {
		return err
	}
	what := t.name
	if t.function != "" {
		what += "." + t.function
	}
	return missing(ctx, s, what, want, err)
}

// ask sends a request to an API that is at the bus. found is false when there is none of that name.
func (a *app) ask(ctx context.Context, s *session, t aim) (found bool, err error) {
	data, err := a.message(t.args)
	if err != nil {
		return true, err
	}
	answer, err := micro.Request(ctx, s.Bus(), t.name, t.function, data)
	if fault.KindOf(err) == fault.NotFound {
		return a.offers(ctx, s, t)
	}
	if err != nil {
		return true, err
	}
	return true, a.printAnswer(answer.Value)
}

// message is what the arguments say: k=v pairs as the words of a query, which the API reads by its own types;
// or one JSON value.
func (a *app) message(args []string) ([]byte, error) {
	words := url.Values{}
	for _, arg := range args {
		if !pair.MatchString(arg) {
			return input(args, a.in)
		}
		k, v, _ := strings.Cut(arg, "=")
		words.Set(k, v)
	}
	return []byte(words.Encode()), nil
}

// offers says what an API has instead of a request; found is false when there is no such API.
func (a *app) offers(ctx context.Context, s *session, t aim) (found bool, err error) {
	names, err := micro.Requests(ctx, s.Bus(), t.name)
	if err != nil {
		return fault.KindOf(err) != fault.NotFound, err
	}
	return true, fault.Text(fault.NotFound, "find request", t.name+"."+t.function, "there is "+strings.Join(names, ", "))
}

// askXMLRPC calls a method of an XML-RPC server.
func (a *app) askXMLRPC(ctx context.Context, address string, args []string) error {
	if len(args) == 0 {
		return usage("as in: become call --xmlrpc http://127.0.0.1:8000 add 3 5", "no method is named")
	}
	params, err := a.params(args[1:])
	if err != nil {
		return err
	}
	answer, err := xmlrpc.Call(ctx, nil, address, args[0], params...)
	if err != nil {
		return a.why(ctx, err)
	}
	typ, err := message.Of(reflect.TypeFor[any]())
	if err != nil {
		return err
	}
	var v any
	if err = typ.DecodeTree(answer, reflect.ValueOf(&v).Elem()); err != nil {
		return fault.New(fault.Remote, "read answer of", args[0], err)
	}
	data, err := typ.Append(nil, reflect.ValueOf(&v).Elem())
	if err != nil {
		return fault.New(fault.Remote, "read answer of", args[0], err)
	}
	return a.printAnswer(data)
}

// params are the arguments one by one; k=v pairs are one struct.
func (a *app) params(args []string) ([]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	data, err := input(args, a.in)
	if err != nil {
		return nil, err
	}
	all := []json.RawMessage{data}
	if len(args) > 1 && !pair.MatchString(args[0]) {
		if err := json.Unmarshal(data, &all); err != nil {
			return nil, err
		}
	}
	params := make([]any, len(all))
	for i, one := range all {
		if params[i], err = message.ParseJSON(one); err != nil {
			return nil, err
		}
	}
	return params, nil
}
