package frame

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/jsons"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/door/problem"
)

type jsonFormat struct{}

func (jsonFormat) Protocol() string { return "become.json" }
func (jsonFormat) Binary() bool     { return false }

// object calls f with each member of an object; the values share the memory of data, the names are f's until it returns. The text is
// read to its end. No object is reported as not.
func object(data []byte, not string, f func(name, value []byte)) error {
	r := jsons.Read(data)
	defer r.Free()
	return members(r, not, f)
}

func members(r *jsons.Reader, not string, f func(name, value []byte)) error {
	if r.PeekKind() != '{' {
		if err := r.SkipValue(); err != nil {
			return broken(err)
		}
		return wrong(nil, "", not)
	}
	if _, err := r.ReadToken(); err != nil {
		return broken(err)
	}
	for r.PeekKind() != '}' {
		name, err := r.Value()
		if err == nil && bytes.IndexByte(name, '\\') >= 0 {
			name, err = jsontext.AppendUnquote(nil, name)
		} else if err == nil {
			name = name[1 : len(name)-1]
		}
		if err != nil {
			return broken(err)
		}
		is, err := r.Value()
		if err != nil {
			return broken(err)
		}
		f(name, is)
	}
	if _, err := r.ReadToken(); err != nil {
		return broken(err)
	}
	if !r.End() {
		return broken(errors.New("something follows the object"))
	}
	return nil
}

func broken(err error) error { return fmt.Errorf("%w: not JSON: %w", ErrBroken, err) }

func (jsonFormat) ReadRequest(data []byte) (r Request, err error) {
	var all message.Problems
	var parent, state string
	named := false
	err = object(data, notRequest, func(name, value []byte) {
		switch string(name) {
		case "id":
			if r.ID = number(value); r.ID == 0 {
				all = wrong(all, "id", wantID)
			}
		case "request":
			named = true
			if r.Name, err = unquote(value); err != nil {
				all = wrong(all, "request", wantName)
			}
		case "value":
			r.Value = Value{text: value}
		case trace.ParentField:
			parent, _ = unquote(value)
		case trace.StateField:
			state, _ = unquote(value)
		default:
			all = wrong(all, string(name), noField)
		}
	})
	if err == nil && !named {
		all = wrong(all, "request", wantRequest)
	}
	r.Place, _ = trace.Parse(parent, state)
	return r, either(err, all)
}

func (jsonFormat) ReadAnswer(data []byte) (a Answer, err error) {
	var all message.Problems
	var body, failed []byte
	err = object(data, notAnswer, func(name, value []byte) {
		switch string(name) {
		case "id":
			if a.ID = number(value); a.ID == 0 {
				all = wrong(all, "id", wantID)
			}
		case "value":
			body = value
		case "error":
			failed = value
		}
	})
	if err != nil || all != nil {
		return a, either(err, all)
	}
	if failed != nil {
		a.Problem = &problem.Problem{}
		if err := json.Unmarshal(failed, a.Problem); err != nil {
			return a, wrong(nil, "error", err.Error())
		}
		return a, nil
	}
	if a.Name, a.Value.text, err = typed(body); err != nil {
		return a, wrong(nil, "value", wantAnswer)
	}
	return a, nil
}

// typed reads [name, message, …], which is known to be JSON.
func typed(body []byte) (name string, text []byte, err error) {
	r := jsons.Read(body)
	defer r.Free()
	if tok, err := r.ReadToken(); err != nil || tok.Kind() != '[' {
		return "", nil, errors.New(wantAnswer)
	}
	quoted, err := r.Value()
	if err != nil {
		return "", nil, err
	}
	if text, err = r.Value(); err != nil {
		return "", nil, err
	}
	name, err = unquote(quoted)
	return name, text, err
}

// either is what keeps a frame from being one; a nil of Problems is no error.
func either(err error, all message.Problems) error {
	if err == nil && all != nil {
		return all
	}
	return err
}

// number reads an id; 0 for what is none.
func number(value []byte) (n uint64) {
	for _, c := range value {
		high, low := bits.Mul64(n, 10)
		sum, carry := bits.Add64(low, uint64(c-'0'), 0)
		if c < '0' || c > '9' || high > 0 || carry > 0 {
			return 0
		}
		n = sum
	}
	return n
}

func unquote(value []byte) (string, error) {
	if len(value) == 0 || value[0] != '"' {
		return "", errors.New(wantName)
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), nil
	}
	b, err := jsontext.AppendUnquote(nil, value)
	return string(b), err
}

func (jsonFormat) AppendRequest(b []byte, r Request, t *message.Type, v reflect.Value) ([]byte, error) {
	start := len(b)
	b = appendID(b, r.ID)
	for _, word := range places(r.Place) {
		b = append(append(append(b, '"'), word.Name...), `":`...)
		b, _ = jsontext.AppendQuote(b, word.Value.(string)) // it is visible ASCII
		b = append(b, ',')
	}
	b = append(b, `"request":`...)
	b, err := jsontext.AppendQuote(b, r.Name)
	if err == nil {
		b, err = t.Append(append(b, `,"value":`...), v)
	}
	if err != nil {
		return b[:start], err
	}
	return append(b, '}'), nil
}

func (jsonFormat) AppendReply(b []byte, id uint64, name string, t *message.Type, v reflect.Value) ([]byte, error) {
	start := len(b)
	b = appendID(b, id)
	b = append(b, `"value":[`...)
	b, err := jsontext.AppendQuote(b, name)
	if err == nil {
		b, err = t.Append(append(b, ','), v)
	}
	if err != nil {
		return b[:start], err
	}
	return append(b, `,[]]}`...), nil
}

func (jsonFormat) AppendProblem(b []byte, id uint64, p *problem.Problem) ([]byte, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return b, err
	}
	b = append(appendID(b, id), `"error":`...)
	return append(append(b, body...), '}'), nil
}

// appendID begins a frame.
func appendID(b []byte, id uint64) []byte {
	if id == 0 {
		return append(b, '{')
	}
	b = strconv.AppendUint(append(b, `{"id":`...), id, 10)
	return append(b, ',')
}
