package jsons_test

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/universal-server/become/ground/jsons"
)

func TestReader_ValuesAreInTheMemoryOfTheText(t *testing.T) {
	data := []byte(` {"a" : [1, 2] , "b":"x"} `)
	r := jsons.Read(data)
	if tok, err := r.ReadToken(); err != nil || tok.Kind() != '{' {
		t.Fatalf("got %v, %v", tok, err)
	}
	var all [][]byte
	for range 4 {
		v, err := r.Value()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if r.End() {
		t.Error("the end came before }")
	}
	if !r.End() {
		t.Error("there is no end after }")
	}
	r.Free()
	for i, want := range []string{`"a"`, `[1, 2]`, `"b"`, `"x"`} {
		at := bytes.Index(data, []byte(want))
		if string(all[i]) != want || unsafe.SliceData(all[i]) != &data[at] || cap(all[i]) != len(want) {
			t.Errorf("value %d is %q of capacity %d, want %q, as it stands in the text", i, all[i], cap(all[i]), want)
		}
	}
}

func TestReader_IsUsedAgainAfterABrokenText(t *testing.T) {
	var r jsons.Reader
	for _, text := range []string{`[1`, `{"a":1,"a":2}`, "\"\xff\"", ``} {
		r.Reset([]byte(text))
		if _, err := r.Value(); err == nil {
			t.Errorf("%q is a value", text)
		}
		r.Forget()
		r.Reset([]byte(`[1]`))
		if v, err := r.Value(); err != nil || string(v) != "[1]" || !r.End() {
			t.Errorf("after %q: got %q, %v", text, v, err)
		}
	}
}

func TestReader_UsedAgainAllocatesNothing(t *testing.T) {
	data := []byte(`{"id":1,"request":"Multiply","value":{"x":1.5,"y":2.25}}`)
	var r jsons.Reader
	read := func() {
		r.Reset(data)
		defer r.Forget()
		if _, err := r.Value(); err != nil || !r.End() {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, read); n >= 1 {
		t.Errorf("a text takes %v allocations", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{`{"a":[1,"é"]}`, `[`, ``, ` 1 2`, "\"\xff\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		r := jsons.Read(data)
		v, err := r.Value()
		end := r.End()
		r.Free()
		if !bytes.Equal(before, data) {
			t.Fatalf("reading %q changed it to %q", before, data)
		}
		if err == nil && end && !bytes.Equal(bytes.Trim(data, " \t\r\n"), v) {
			t.Fatalf("the value of %q is %q", data, v)
		}
	})
}
