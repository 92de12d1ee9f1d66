package cgi

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func FuzzHead(f *testing.F) {
	for _, text := range []string{
		"Content-Type: a/b\n\nbody", "Status: 404 Not Found\r\nX: y\r\n\r\n", "Location: /x\n\n", ": \n\n", "a:b:c\n", "\x00: \n\n",
		"Content-Length: 99999999999999999999\nContent-Type: a\n\n", strings.Repeat("X: y\n", 100) + "\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const limit = 1000
		in := bufio.NewReaderSize(bytes.NewReader(text), 16)
		h, err := readHead(in, limit)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("the error is long: %v", err)
			}
			return
		}
		if (h.status < 200 || h.status > 599) && (h.status != 0 || !strings.HasPrefix(h.local, "/")) {
			t.Fatalf("got %+v", h)
		}
		if h.local == "" && h.fields.Get("Content-Type") == "" && h.fields.Get("Location") == "" && !bytes.Contains(bytes.ToLower(text), []byte("status")) {
			t.Fatalf("nothing says what %q is: %+v", text, h)
		}
		for name, values := range h.fields {
			for _, v := range values {
				if strings.ContainsAny(name+v, "\r\n\x00") {
					t.Fatalf("got %q: %q", name, v)
				}
			}
		}
	})
}
