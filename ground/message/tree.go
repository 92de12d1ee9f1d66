package message

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Object is an object as a tree, with its members in order.
type Object []Member

// Member is one of an object's.
type Member struct {
	Name  string
	Value any
}

// Tree returns a value as a tree for a format other than JSON: nil, bool, int64, uint64, float64, *big.Int, string, []byte,
// time.Time, []any and Object. The error is Problems.
func (t *Type) Tree(v reflect.Value) (any, error) { return t.tree(v, 0) }

func (t *Type) tree(v reflect.Value, depth int) (any, error) {
	if depth > maxDepth {
		return nil, failed("it is nested more than 100 levels deep")
	}
	switch t.kind {
	case kindStruct:
		return t.treeOfStruct(v, depth)
	case kindOptional:
		if v.IsNil() {
			return nil, nil
		}
		return t.elem.tree(v.Elem(), depth+1)
	case kindList, kindArray:
		return t.treeOfList(v, depth)
	case kindSet, kindObject, kindPairs:
		return t.treeOfMap(v, depth)
	case kindAny:
		if v.IsNil() {
			return nil, nil
		}
		inner, err := Of(v.Elem().Type())
		if err != nil {
			return nil, failed("%v", err)
		}
		return inner.tree(v.Elem(), depth+1)
	}
	return t.treeOfWord(v)
}

func (t *Type) treeOfWord(v reflect.Value) (any, error) {
	switch t.kind {
	case kindBool:
		return v.Bool(), nil
	case kindInt:
		return v.Int(), nil
	case kindUint:
		return v.Uint(), nil
	case kindFloat:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, failed("%v is no number that can be written", f)
		}
		return v.Float(), nil
	case kindString:
		return v.String(), nil
	case kindBytes:
		return v.Bytes(), nil
	case kindTime:
		return v.Interface(), nil
	case kindDuration:
		return time.Duration(v.Int()).String(), nil
	case kindBig:
		n := v.Interface().(big.Int)
		return new(big.Int).Set(&n), nil
	}
	text, err := textOf(v)
	if err != nil {
		return nil, failed("%v", err)
	}
	return string(text), nil
}

func (t *Type) treeOfStruct(v reflect.Value, depth int) (any, error) {
	out := make(Object, 0, len(t.fields))
	for _, f := range t.fields {
		part := v.FieldByIndex(f.index)
		if f.typ.kind == kindOptional && part.IsNil() {
			continue
		}
		one, err := f.typ.tree(part, depth+1)
		if err != nil {
			return nil, at(err, f.name)
		}
		out = append(out, Member{f.name, one})
	}
	return out, nil
}

func (t *Type) treeOfList(v reflect.Value, depth int) (any, error) {
	out := make([]any, v.Len())
	for i := range out {
		one, err := t.elem.tree(v.Index(i), depth+1)
		if err != nil {
			return nil, at(err, "["+strconv.Itoa(i)+"]")
		}
		out[i] = one
	}
	return out, nil
}

func (t *Type) treeOfMap(v reflect.Value, depth int) (any, error) {
	type entry struct {
		order string
		key   any
		value any
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		order, err := t.key.append(nil, it.Key(), depth+1)
		if err != nil {
			return nil, at(err, "a key")
		}
		key, err := t.key.tree(it.Key(), depth+1)
		if err != nil {
			return nil, at(err, "a key")
		}
		e := entry{string(order), key, nil}
		if t.kind != kindSet {
			if e.value, err = t.elem.tree(it.Value(), depth+1); err != nil {
				return nil, at(err, "["+e.order+"]")
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.order, b.order) })
	if t.kind == kindObject {
		out := make(Object, len(entries))
		for i, e := range entries {
			out[i] = Member{e.key.(string), e.value}
		}
		return out, nil
	}
	out := make([]any, len(entries))
	for i, e := range entries {
		if out[i] = e.key; t.kind == kindPairs {
			out[i] = []any{e.key, e.value}
		}
	}
	return out, nil
}

// DecodeTree reads a tree into v, a zero value of the type, as Decode reads JSON. The error is Problems.
func (t *Type) DecodeTree(tree any, v reflect.Value) error {
	b, err := appendTree(nil, tree, 0)
	if err != nil {
		return err
	}
	return t.Decode(b, v)
}

// RestoreTree reads a tree as Restore reads JSON. The error is Problems.
func (t *Type) RestoreTree(tree any, v reflect.Value) error {
	b, err := appendTree(nil, tree, 0)
	if err != nil {
		return err
	}
	return t.Restore(b, v)
}

func appendTree(b []byte, tree any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, failed("it is nested more than 100 levels deep")
	}
	switch x := tree.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, x), nil
	case int64:
		return strconv.AppendInt(b, x, 10), nil
	case uint64:
		return strconv.AppendUint(b, x, 10), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, Problems{{Text: notFinite, Rule: true}}
		}
		return appendFloat(b, x, 64)
	case *big.Int:
		return x.Append(b, 10), nil
	case string:
		return appendText(b, x)
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), x), '"'), nil
	case time.Time:
		return append(x.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
	case []any:
		return appendElements(b, x, depth)
	case Object:
		return appendMembers(b, x, depth)
	}
	return nil, errors.New("a tree has a part of type " + reflect.TypeOf(tree).String())
}

func appendElements(b []byte, all []any, depth int) (_ []byte, err error) {
	b = append(b, '[')
	for i, one := range all {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendTree(b, one, depth+1); err != nil {
			return nil, at(err, fmt.Sprintf("[%d]", i))
		}
	}
	return append(b, ']'), nil
}

func appendMembers(b []byte, all Object, depth int) (_ []byte, err error) {
	b = append(b, '{')
	for i, m := range all {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendText(b, m.Name); err != nil {
			return nil, err
		}
		if b, err = appendTree(append(b, ':'), m.Value, depth+1); err != nil {
			return nil, at(err, shown(fmt.Sprintf("%.100s", m.Name)))
		}
	}
	return append(b, '}'), nil
}

// Names are the fields of a message, in their order; none of another type.
func (t *Type) Names() []string {
	all := make([]string, len(t.fields))
	for i, f := range t.fields {
		all[i] = f.name
	}
	return all
}
