package control_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/work/control"
)

func TestMessages_ComeBackAsTheyWere(t *testing.T) {
	to := []control.ToChild{
		{Start: &control.Start{
			Worker: "w", Node: "n", Digest: "d", Name: "x", Kind: bundle.JS, Source: "/s", Slots: 2, Solo: true, Unix: "/u", TCP: "h:1", Token: []byte{0, 255},
			Bus: "nats://h", Ticket: "t", Public: "p", Memory: 1 << 30, GraceMS: 5000, CertPEM: []byte("c"), KeyPEM: []byte("k"),
		}},
		{Drain: &control.Drain{WithinMS: 30_000}},
	}
	for _, want := range to {
		check(t, want)
	}
	from := []control.FromChild{
		{Ready: &control.Ready{PID: 1, Slots: 2, Unix: "/u", TCP: "h:1"}},
		{Stats: &control.Stats{Running: 1, Done: 2, Failed: 3, Lines: 4, Jobs: []string{"1.2"}}},
		{Failed: &control.Failed{Reason: "r"}},
		{Leave: &control.Leave{Reason: "r"}},
	}
	for _, want := range from {
		check(t, want)
	}
}

// check also makes sure that the test sets every field: one left out would be lost unseen.
func check[T any](t *testing.T, want T) {
	t.Helper()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, %v", data, err)
	}
	set := 0
	v := reflect.ValueOf(want)
	for i := range v.NumField() {
		if m := v.Field(i); !m.IsNil() {
			set++
			for j := range m.Elem().NumField() {
				if m.Elem().Field(j).IsZero() {
					t.Errorf("%s of %T is not set by the test", m.Elem().Type().Field(j).Name, m.Elem().Interface())
				}
			}
		}
	}
	if set != 1 {
		t.Errorf("%d fields are set, want exactly one", set)
	}
}

func FuzzMessages(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `[]`, `{"start":{"worker":"w","slots":-1}}`, `{"drain":{"within_ms":1e99}}`, `{"ready":{"pid":1},"stats":{}}`, `{"start":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var to control.ToChild
		if json.Unmarshal(data, &to) == nil {
			again(t, to)
		}
		var from control.FromChild
		if json.Unmarshal(data, &from) == nil {
			again(t, from)
		}
	})
}

// again makes sure that what was read can be written and read.
func again[T any](t *testing.T, m T) {
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var second T
	if err := json.Unmarshal(data, &second); err != nil {
		t.Errorf("%s: %v", data, err)
	}
}
