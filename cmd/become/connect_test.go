package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
)

// Who is about to join a node that ends is told so, and does not wait for answers.
func TestConnect_ANodeThatEndsMeanwhileIsMissed(t *testing.T) {
	t.Parallel() // it waits for most of its time
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := filepath.Join(t.TempDir(), "home")
	h, err := home.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Publish(home.Contact{URL: "nats://" + silent.Addr().String(), Node: h.ID()}); err != nil {
		t.Fatal(err)
	}
	k := key.New()
	var out strings.Builder
	code := make(chan int)
	go func() {
		code <- run(t.Context(), []string{"jobs", "wait", "1.0", "--home", dir, "--key", k.String(), "--timeout", "1h"}, stdio{strings.NewReader(""), io.Discard, &out})
	}()
	c, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h.Close()
	if got := <-code; got != exitFailed {
		t.Errorf("exit code %d, want %d", got, exitFailed)
	}
	const want = "become: cannot find fleet: the node has ended\nhint: start it again with: become up; it goes on with its jobs\n"
	if out.String() != want {
		t.Errorf("it says %q, want %q", &out, want)
	}
}
