package examples_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeserver is asked at each of its three ports.
func timeserver(t *testing.T, p program) {
	const any = "udp://127.0.0.1:0"
	addrs, interrupt := serving(t, p, any, any, any)
	all := strings.Fields(addrs)
	if len(all) != 3 {
		t.Fatalf("it serves on %q", addrs)
	}
	for _, addr := range all {
		for _, request := range []string{"what time is it?", ""} {
			before := time.Now().Truncate(time.Second)
			answer := tell(t, strings.TrimPrefix(addr, "udp://"), request)
			at, err := time.ParseInLocation(time.ANSIC+"\n", answer, time.Local)
			if err != nil {
				t.Fatal(err)
			}
			if at.Before(before) || at.After(time.Now()) {
				t.Errorf("it says %q, asked after %v", answer, before)
			}
		}
	}
	interrupt()
}

// tell sends a datagram and returns what comes back.
func tell(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// echoserver has a thousand clients at once, in two processes.
func echoserver(t *testing.T, p program) {
	if !p.alone || runtime.GOOS == "windows" {
		return
	}
	addr, out, end := p.served(t, "--procs", "2")
	const clients = 1000
	var served, over sync.WaitGroup
	served.Add(clients)
	leave := make(chan struct{})
	errs := make([]error, clients)
	for i := range clients {
		over.Go(func() {
			done := sync.OnceFunc(served.Done)
			defer done()
			errs[i] = converse(addr, fmt.Sprintf("client %d", i), done, leave)
		})
	}
	served.Wait() // all of them, while all are connected
	close(leave)
	over.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"Connection from 127.0.0.1:", "Client closed 127.0.0.1:"} {
		out.until(t, said, func() bool { return out.count(said) >= clients })
	}
	end()
}

// converse says what comes back, and after leave something more.
func converse(addr, text string, served func(), leave <-chan struct{}) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	for _, text := range []string{text, text + " leaves"} {
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
		b := make([]byte, len(text))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
			return fmt.Errorf("%q came back for %q, %v", b, text, err)
		}
		served()
		<-leave
	}
	return nil
}

// swap says that its own clients missed nothing.
func swap(t *testing.T, p program) {
	if !p.alone || runtime.GOOS == "windows" {
		return
	}
	cmd, out, stderr := p.start(t)
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s", err, stderr)
	}
	got := regexp.MustCompile(`requests: [1-9][0-9]{3,}\n`).ReplaceAllString(string(text), "requests: thousands\n")
	want := `serving: version 1 says hello world
swapped: version 2 says HELLO WORLD!
requests: thousands
failed = 0
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
