package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

func TestCAS_SaysWhenNobodyKnows(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { ln.Close(); <-done }()
	go func() {
		defer close(done)
		for n := 0; ; n++ { // the first one is never answered, the others are closed
			c, err := ln.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			if n == 0 {
				io.Copy(io.Discard, c)
			}
			c.Close()
		}
	}()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"cas --timeout 50ms ADDR 0 1", exitTimeout, "it took longer than --timeout 50ms"},
		{"cas ADDR 0 1", exitFailed, "it ended the connection without a reply\nhint: the operation may have happened or not"},
		{"cas --json --split ADDR 0 1", exitFailed, `"kind":"lost"`},
	} {
		var out, errs bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(c.args, "ADDR", ln.Addr().String()))
		code := run(t.Context(), args, stdio{strings.NewReader(""), &out, &errs})
		if code != c.code || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%s: exit code %d, printed %q and %q", c.args, code, &out, &errs)
		}
	}
}
