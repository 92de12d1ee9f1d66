package frame

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/problem"
)

type jsonFormat struct{}

func (jsonFormat) Protocol() string { return "become.json" }
func (jsonFormat) Binary() bool     { return false }

// object calls f with each member of an object; the values share the memory of data. The text is read to its end. No
// object is reported as not.
func object(data []byte, not string, f func(name string, value []byte)) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return broken(err)
		}
		return wrong(nil, "", not)
	}
	if _, err := d.ReadToken(); err != nil {
		return broken(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return broken(err)
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return broken(err)
		}
		end := d.InputOffset()
		f(text, data[end-int64(len(value)):end])
	}
	if _, err := d.ReadToken(); err != nil {
		return broken(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return broken(errors.New("something follows the object"))
	}
	return nil
}

func broken(err error) error { return fmt.Errorf("%w: not JSON: %w", ErrBroken, err) }

func (jsonFormat) ReadRequest(data []byte) (r Request, err error) {
	var all message.Problems
	named := false
	err = object(data, notRequest, func(name string, value []byte) {
		switch name {
		case "id":
			if r.ID = number(value); r.ID == 0 {
				all = wrong(all, name, wantID)
			}
		case "request":
			named = true
			if r.Name, err = unquote(value); err != nil {
				all = wrong(all, name, wantName)
			}
		case "value":
			r.Value = Value{text: value}
		default:
			all = wrong(all, name, noField)
		}
	})
	if err == nil && !named {
		all = wrong(all, "request", wantRequest)
	}
	return r, either(err, all)
}

func (jsonFormat) ReadAnswer(data []byte) (a Answer, err error) {
	var all message.Problems
	var body, failed []byte
	err = object(data, notAnswer, func(name string, value []byte) {
		switch name {
		case "id":
			if a.ID = number(value); a.ID == 0 {
				all = wrong(all, name, wantID)
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
	var parts []jsontext.Value
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '[' {
		return a, wrong(nil, "value", wantAnswer)
	}
	for range 2 {
		part, err := d.ReadValue()
		if err != nil {
			return a, wrong(nil, "value", wantAnswer)
		}
		parts = append(parts, part.Clone())
	}
	if a.Name, err = unquote(parts[0]); err != nil {
		return a, wrong(nil, "value", wantAnswer)
	}
	a.Value = Value{text: parts[1]}
	return a, nil
}

// either is what keeps a frame from being one; a nil of Problems is no error.
func either(err error, all message.Problems) error {
	if err == nil && all != nil {
		return all
	}
	return err
}

// number reads an id; 0 for what is none.
func number(value []byte) uint64 {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func unquote(value []byte) (string, error) {
	if len(value) == 0 || value[0] != '"' {
		return "", errors.New(wantName)
	}
	b, err := jsontext.AppendUnquote(nil, value)
	return string(b), err
}

func (jsonFormat) AppendRequest(b []byte, id uint64, name string, t *message.Type, v reflect.Value) ([]byte, error) {
	start := len(b)
	b = appendID(b, id)
	b = append(b, `"request":`...)
	b, err := jsontext.AppendQuote(b, name)
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
