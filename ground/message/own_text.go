package message

import (
	"encoding"
	"fmt"
	"reflect"
)

// The texts of a program's own types. A panic there is an error: what a client sends must not end more than its request.

func readText(v reflect.Value, s string) (err error) {
	defer caught(&err)
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
}

func textOf(v reflect.Value) (text []byte, err error) {
	defer caught(&err)
	return v.Interface().(encoding.TextMarshaler).MarshalText()
}

func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("its own reading or writing panicked: %v", p)
	}
}
