package codec

import (
	"fmt"
	"reflect"
	"sync"
)

// maxDepth is how deep values may be nested, on both sides. Encoding must look
// for itself: a value that contains itself would take the process with it.
const maxDepth = 256

// nests remembers which types can be nested without end: those that contain
// themselves, or an interface.
var nests sync.Map // reflect.Type → bool

func canNest(t reflect.Type) bool {
	if known, ok := nests.Load(t); ok {
		return known.(bool)
	}
	n := endless(t, map[reflect.Type]bool{})
	nests.Store(t, n)
	return n
}

// endless reports whether t leads to a type on the path to it, or to an interface.
func endless(t reflect.Type, path map[reflect.Type]bool) bool {
	if path[t] || t.Kind() == reflect.Interface {
		return true
	}
	if travelsByItself(t) {
		return false
	}
	path[t] = true
	defer delete(path, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return endless(t.Elem(), path)
	case reflect.Map:
		return endless(t.Key(), path) || endless(t.Elem(), path)
	case reflect.Struct:
		for i := range t.NumField() {
			if endless(t.Field(i).Type, path) {
				return true
			}
		}
	}
	return false
}

// maxHops is how many pointers and interfaces may lead to a value.
const maxHops = 64

// shallow refuses a value with more than depth lists, maps and structs inside
// one another.
func shallow(v reflect.Value, depth, hops int) error {
	if depth < 0 || hops < 0 {
		return fmt.Errorf("the value is nested more than %d deep, or contains itself", maxDepth)
	}
	if !v.IsValid() || v.Kind() != reflect.Interface && (travelsByItself(v.Type()) || !canNest(v.Type())) {
		return nil
	}
	inner := func(v reflect.Value) error { return shallow(v, depth-1, maxHops) }
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return shallow(v.Elem(), depth, hops-1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := inner(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := inner(it.Value()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := inner(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
