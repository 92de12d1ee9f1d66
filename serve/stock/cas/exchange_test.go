package cas_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/cas"
)

func TestAddress_HasThePortOfTheLecture(t *testing.T) {
	for text, want := range map[string][2]string{
		"localhost":      {"tcp", "localhost:22222"},
		"localhost:":     {"tcp", "localhost:22222"},
		"localhost:5":    {"tcp", "localhost:5"},
		"::1":            {"tcp", "[::1]:22222"},
		"[::1]":          {"tcp", "[::1]:22222"},
		"[::1]:5":        {"tcp", "[::1]:5"},
		"unix:/a/b:c":    {"unix", "/a/b:c"},
		"127.0.0.1":      {"tcp", "127.0.0.1:22222"},
		"127.0.0.1:port": {"tcp", "127.0.0.1:port"},
	} {
		if network, addr := cas.Address(text); network != want[0] || addr != want[1] {
			t.Errorf("%q: got %s %s, want %v", text, network, addr, want)
		}
	}
}

func TestExchange_ReadsEveryReply(t *testing.T) {
	addr, _ := start(t, nil)
	long := strings.Repeat("9", 60_000)
	for _, test := range []struct {
		segments []string
		end      bool
		want     []string
	}{
		{[]string{"0", " ", "1", "\n"}, false, []string{"0"}},
		{[]string{"1 2\n2 3\nhalf"}, true, []string{"1", "2", cas.BadSyntax}},
		{[]string{""}, true, nil},
		{[]string{"3 " + long + "\n"}, false, []string{"3"}},
		{[]string{strings.Repeat("0 0\n", 100)}, true, slices.Repeat([]string{long}, 100)},
	} {
		var got []string
		err := cas.Exchange(t.Context(), addr, test.segments, test.end, func(reply string) bool {
			got = append(got, reply)
			return test.end
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %d replies, %s, %v", brief(strings.Join(test.segments, "|")), len(got), brief(strings.Join(got, "|")), err)
		}
	}
}

// silent accepts one connection, reads a line, and does with it what f says.
func silent(t *testing.T, f func(net.Conn)) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		bufio.NewReader(c).ReadString('\n')
		f(c)
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func TestExchange_SaysWhatWentWrong(t *testing.T) {
	never := func(string) bool { t.Error("there was a reply"); return true }
	addr := silent(t, func(net.Conn) {})
	if err := cas.Exchange(t.Context(), addr, []string{"0 1\n"}, false, never); err != nil {
		t.Errorf("the server ended it: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more patience")
	addr = silent(t, func(c net.Conn) {
		cancel(why)
		io.Copy(io.Discard, c)
	})
	if err := cas.Exchange(ctx, addr, []string{"0 1\n"}, false, never); fault.KindOf(err) != fault.Canceled || !errors.Is(err, why) {
		t.Errorf("the context ended: %v", err)
	}
	addr = silent(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
	if err := cas.Exchange(t.Context(), addr, []string{"0 1\n0 1\n"}, false, never); fault.KindOf(err) != fault.Lost {
		t.Errorf("reset: %v", err)
	}
	if err := cas.Exchange(t.Context(), "127.0.0.1:1", nil, false, never); fault.KindOf(err) != fault.Lost {
		t.Errorf("nobody there: %v", err)
	}
	addr = silent(t, func(c net.Conn) { io.WriteString(c, strings.Repeat("9", 3<<20)) })
	if err := cas.Exchange(t.Context(), addr, []string{"0 1\n"}, false, never); fault.KindOf(err) != fault.Lost {
		t.Errorf("an endless reply: %v", err)
	}
}
