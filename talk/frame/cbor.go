package frame

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/door/problem"
)

type cborFormat struct{}

func (cborFormat) Protocol() string { return "become.cbor" }
func (cborFormat) Binary() bool     { return true }

// parse reads an object as a tree.
func parse(data []byte, not string) (message.Object, error) {
	tree, err := message.ParseCBOR(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if o, ok := tree.(message.Object); ok {
		return o, nil
	}
	return nil, wrong(nil, "", not)
}

// id is a member's as a number; 0 for what is none.
func id(v any) uint64 {
	switch n := v.(type) {
	case int64:
		return uint64(max(n, 0))
	case uint64:
		return n
	}
	return 0
}

func (cborFormat) ReadRequest(data []byte) (r Request, err error) {
	o, err := parse(data, notRequest)
	if err != nil {
		return r, err
	}
	var all message.Problems
	var parent, state string
	named := false
	for _, m := range o {
		switch m.Name {
		case "id":
			if r.ID = id(m.Value); r.ID == 0 {
				all = wrong(all, m.Name, wantID)
			}
		case "request":
			named = true
			var ok bool
			if r.Name, ok = m.Value.(string); !ok {
				all = wrong(all, m.Name, wantName)
			}
		case "value":
			if r.Value = (Value{tree: m.Value}); m.Value == nil {
				r.Value.text = []byte("null")
			}
		case trace.ParentField:
			parent, _ = m.Value.(string)
		case trace.StateField:
			state, _ = m.Value.(string)
		default:
			all = wrong(all, m.Name, noField)
		}
	}
	r.Place, _ = trace.Parse(parent, state)
	if !named {
		all = wrong(all, "request", wantRequest)
	}
	return r, either(nil, all)
}

func (cborFormat) ReadAnswer(data []byte) (a Answer, err error) {
	o, err := parse(data, notAnswer)
	if err != nil {
		return a, err
	}
	for _, m := range o {
		switch m.Name {
		case "id":
			if a.ID = id(m.Value); a.ID == 0 {
				return a, wrong(nil, m.Name, wantID)
			}
		case "value":
			parts, _ := m.Value.([]any)
			if len(parts) < 2 {
				return a, wrong(nil, m.Name, wantAnswer)
			}
			var ok bool
			if a.Name, ok = parts[0].(string); !ok {
				return a, wrong(nil, m.Name, wantAnswer)
			}
			if a.Value = (Value{tree: parts[1]}); parts[1] == nil {
				a.Value.text = []byte("null")
			}
		case "error":
			if a.Problem, err = problemOf(m.Value); err != nil {
				return a, wrong(nil, m.Name, err.Error())
			}
		}
	}
	if a.Name == "" && a.Problem == nil {
		return a, wrong(nil, "", notAnswer)
	}
	return a, nil
}

func (cborFormat) AppendRequest(b []byte, r Request, t *message.Type, v reflect.Value) ([]byte, error) {
	tree, err := t.Tree(v)
	if err != nil {
		return b, err
	}
	return appendFrame(b, r.ID, append(places(r.Place), message.Member{Name: "request", Value: r.Name}, message.Member{Name: "value", Value: tree})...)
}

func (cborFormat) AppendReply(b []byte, id uint64, name string, t *message.Type, v reflect.Value) ([]byte, error) {
	tree, err := t.Tree(v)
	if err != nil {
		return b, err
	}
	return appendFrame(b, id, message.Member{Name: "value", Value: []any{name, tree, []any{}}})
}

func (cborFormat) AppendProblem(b []byte, id uint64, p *problem.Problem) ([]byte, error) {
	tree, err := treeOf(*p)
	if err != nil {
		return b, err
	}
	return appendFrame(b, id, message.Member{Name: "error", Value: tree})
}

func appendFrame(b []byte, id uint64, members ...message.Member) ([]byte, error) {
	if id != 0 {
		members = append([]message.Member{{Name: "id", Value: id}}, members...)
	}
	out, err := message.AppendCBOR(b, message.Object(members))
	if err != nil {
		return b, err
	}
	return out, nil
}

var problemType = sync.OnceValues(func() (*message.Type, error) { return message.Of(reflect.TypeFor[problem.Problem]()) })

// treeOf is a problem with the names that it has in JSON.
func treeOf(p problem.Problem) (any, error) {
	t, err := problemType()
	if err != nil {
		return nil, err
	}
	for _, text := range []*string{&p.Title, &p.Detail, &p.Kind, &p.Hint} {
		*text = strings.ToValidUTF8(*text, "\ufffd")
	}
	p.Errors = slices.Clone(p.Errors)
	for i := range p.Errors {
		p.Errors[i].Path = strings.ToValidUTF8(p.Errors[i].Path, "\ufffd")
		p.Errors[i].Text = strings.ToValidUTF8(p.Errors[i].Text, "\ufffd")
	}
	return t.Tree(reflect.ValueOf(p))
}

func problemOf(tree any) (*problem.Problem, error) {
	t, err := problemType()
	if err != nil {
		return nil, err
	}
	p := &problem.Problem{}
	return p, t.RestoreTree(tree, reflect.ValueOf(p).Elem())
}
