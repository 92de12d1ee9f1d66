package line_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
)

var token = []byte("a token of some length")

// pair shakes hands over a pipe.
func pair(t *testing.T, clientToken, serverToken []byte, opts *line.Options) (c, s *line.Conn, cerr, serr error) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	var wg sync.WaitGroup
	wg.Go(func() { s, serr = line.Server(t.Context(), b, serverToken, opts) })
	c, cerr = line.Client(t.Context(), a, clientToken, opts)
	wg.Wait()
	return c, s, cerr, serr
}

func TestHandshake_LetsInWhoKnowsTheToken(t *testing.T) {
	c, s, cerr, serr := pair(t, token, token, nil)
	if cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	go c.Send([]byte("hello"), []byte(" there"))
	if got, err := s.Receive(); string(got) != "hello there" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestHandshake_RefusesWhoDoesNot(t *testing.T) {
	for _, other := range []string{"", "a token of some lengtH", "a token of some length ", "another"} {
		for _, tokens := range [][2][]byte{{token, []byte(other)}, {[]byte(other), token}} {
			_, _, cerr, serr := pair(t, tokens[0], tokens[1], nil)
			if cerr == nil || serr == nil {
				t.Errorf("client %q, server %q: %v, %v", tokens[0], tokens[1], cerr, serr)
			}
		}
	}
	if _, _, cerr, serr := pair(t, nil, nil, nil); fault.KindOf(cerr) != fault.Denied || fault.KindOf(serr) != fault.Denied {
		t.Errorf("no token on both sides: %v, %v", cerr, serr)
	}
	if _, _, cerr, _ := pair(t, token, []byte("another"), nil); fault.KindOf(cerr) != fault.Denied {
		t.Errorf("the client trusts a server without the token: %v", cerr)
	}
}

// speak plays one end by hand; what it returns is what the other end made of it.
func speak(t *testing.T, shake func(context.Context, net.Conn, []byte, *line.Options) (*line.Conn, error), f func(net.Conn)) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	go func() {
		f(a)
		a.Close()
	}()
	c, err := shake(t.Context(), b, token, nil)
	if err == nil {
		c.Close()
		return nil
	}
	if _, e := b.Write([]byte("x")); e == nil {
		t.Error("the connection was left open")
	}
	return err
}

func TestHandshake_ClosesWhatSpeaksAnotherProtocol(t *testing.T) {
	for name, text := range map[string]string{
		"http": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "nothing": "", "one byte": "B", "half": "BCM1 ...", "older": "BCM0" + string(make([]byte, 16)),
		"tls": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(make([]byte, 64)),
	} {
		if err := speak(t, line.Server, func(nc net.Conn) { io.WriteString(nc, text) }); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	// A server that sends the client's own proof back proves nothing.
	err := speak(t, line.Client, func(nc net.Conn) {
		hello := make([]byte, 20)
		io.ReadFull(nc, hello)
		nc.Write(append(hello[4:20:20], make([]byte, 32)...))
	})
	if fault.KindOf(err) != fault.Denied {
		t.Errorf("a server without proof: %v", err)
	}
	// A client that answers with the server's own proof proves nothing either.
	err = speak(t, line.Server, func(nc net.Conn) {
		nc.Write(append([]byte("BCM1"), make([]byte, 16)...))
		challenge := make([]byte, 48)
		io.ReadFull(nc, challenge)
		nc.Write(challenge[16:])
		io.Copy(io.Discard, nc)
	})
	if fault.KindOf(err) != fault.Denied {
		t.Errorf("a reflected proof: %v", err)
	}
}

func TestHandshake_GivesUpOnASlowPeer(t *testing.T) {
	for name, shake := range map[string]func(context.Context, net.Conn, []byte, *line.Options) (*line.Conn, error){"server": line.Server, "client": line.Client} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := speak(t, shake, func(nc net.Conn) {
				go io.Copy(io.Discard, nc)
				for _, b := range []byte("BCM1 one byte a second, for ever and ever") {
					time.Sleep(time.Second)
					if _, err := nc.Write([]byte{b}); err != nil {
						return
					}
				}
			})
			if took := time.Since(start); err == nil || took != line.HandshakeTimeout {
				t.Errorf("%s: %v after %v, want %v", name, err, took, line.HandshakeTimeout)
			}
			time.Sleep(2 * time.Second) // the peer finds out
		})
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			go io.Copy(io.Discard, a)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := shake(ctx, b, token, nil); fault.KindOf(err) != fault.Deadline {
				t.Errorf("%s: its context ended: %v", name, err)
			}
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			a, b = net.Pipe()
			defer a.Close()
			if _, err := shake(ctx, b, token, nil); fault.KindOf(err) != fault.Canceled {
				t.Errorf("%s: given up: %v", name, err)
			}
		})
	}
}

// wire makes a line of one end of a pipe and leaves the other to the test.
func wire(t *testing.T, opts *line.Options) (*line.Conn, net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	c := line.New(a, opts)
	t.Cleanup(func() { c.Close(); b.Close() })
	return c, b
}

func frame(n uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), body...)
}

func TestReceive_TakesFramesHoweverTheyArrive(t *testing.T) {
	var all []byte
	var bodies [][]byte
	for i, n := range []int{0, 1, 5, 64 << 10, 64<<10 + 1, 3, 300_000, 0} {
		body := bytes.Repeat([]byte{byte('a' + i)}, n)
		bodies = append(bodies, body)
		all = append(all, frame(uint32(n), body)...)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader,
	} {
		c, peer := wire(t, nil)
		go func() {
			io.Copy(peer, cut(bytes.NewReader(all)))
			peer.Close()
		}()
		for i, want := range bodies {
			if got, err := c.Receive(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: frame %d has %d bytes, %v", name, i, len(got), err)
			}
		}
		if _, err := c.Receive(); err != io.EOF {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
	c, peer := wire(t, nil)
	go func() {
		for _, b := range all[:30] {
			peer.Write([]byte{b})
		}
		peer.Close()
	}()
	for i := range 3 {
		if got, err := c.Receive(); err != nil || !bytes.Equal(got, bodies[i]) {
			t.Errorf("byte by byte: frame %d is %q, %v", i, got, err)
		}
	}
}

func TestReceive_EndsOnBadFrames(t *testing.T) {
	for name, b := range map[string]struct {
		wire []byte
		want fault.Kind
	}{
		"half a head":  {[]byte{0, 0}, fault.Lost},
		"no body":      {frame(5, nil), fault.Lost},
		"half a body":  {frame(5, []byte("ab")), fault.Lost},
		"half a large": {frame(900_000, make([]byte, 100_000)), fault.Lost},
		"too large":    {frame(1<<20+1, nil), fault.Invalid},
		"huge":         {frame(1<<32-1, []byte("x")), fault.Invalid},
	} {
		c, peer := wire(t, &line.Options{MaxFrame: 1 << 20})
		go func() {
			peer.Write(b.wire)
			peer.Close()
		}()
		if got, err := c.Receive(); fault.KindOf(err) != b.want || err == nil || err == io.EOF {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// A peer that announces much and sends little gets little memory.
func TestReceive_TakesMemoryForWhatIsThere(t *testing.T) {
	const lines = 100
	var got uint64
	allocs := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			for range lines {
				a, peer := net.Pipe()
				c := line.New(a, &line.Options{MaxFrame: 64 << 20})
				go func() {
					peer.Write(frame(64<<20, make([]byte, 1000)))
					peer.Close()
				}()
				c.Receive()
				c.Close()
			}
		}
	})
	got = uint64(allocs.AllocedBytesPerOp()) / lines
	if got > 1<<20 {
		t.Errorf("an announcement of 64 MiB took %d KiB", got>>10)
	}
}

func TestSend_RefusesWhatIsTooLarge(t *testing.T) {
	c, peer := wire(t, &line.Options{MaxFrame: 100})
	go io.Copy(io.Discard, peer)
	if err := c.Send(make([]byte, 60), make([]byte, 41)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	if err := c.Send(make([]byte, 60), make([]byte, 40)); err != nil {
		t.Errorf("the line is worse for it: %v", err)
	}
}

func TestSend_ManySendersMixNothing(t *testing.T) {
	const senders, each = 8, 300
	c, peer := wire(t, &line.Options{MaxBuffered: 4 << 10}) // small: senders also wait for room
	r := line.New(peer, nil)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := bytes.Repeat([]byte{byte(s)}, 1+(i*37)%900)
				if err := c.Send(binary.BigEndian.AppendUint32([]byte{byte(s)}, uint32(i)), body); err != nil {
					t.Error(err)
					return
				}
				clear(body) // Send keeps nothing
			}
		})
	}
	next := make([]uint32, senders)
	for range senders * each {
		got, err := r.Receive()
		if err != nil {
			t.Fatal(err)
		}
		s, i := got[0], binary.BigEndian.Uint32(got[1:])
		if i != next[s] || len(got) != 5+1+int(i*37)%900 || bytes.Count(got[5:], []byte{s}) != len(got)-5 {
			t.Fatalf("sender %d: frame %d of %d bytes, want number %d", s, i, len(got), next[s])
		}
		next[s]++
	}
	wg.Wait()
}

func TestSend_BlocksWhileTooMuchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := wire(t, &line.Options{MaxBuffered: 1000, WriteTimeout: time.Hour})
		sent := 0
		go func() {
			for c.Send(make([]byte, 100)) == nil {
				sent++
			}
		}()
		go c.Send(nil) // writes, and nobody reads
		synctest.Wait()
		first := sent
		if first > 13 {
			t.Errorf("%d frames of 100 bytes are taken, the bound is 1000", first)
		}
		io.ReadFull(peer, make([]byte, 4+5*104))
		synctest.Wait()
		if sent <= first {
			t.Error("the peer read, and nothing more was taken")
		}
		c.Close()
		synctest.Wait()
	})
}

func TestSend_LosesAPeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := wire(t, &line.Options{WriteTimeout: time.Minute})
		start := time.Now()
		if err := c.Send([]byte("x")); fault.KindOf(err) != fault.Lost || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := c.Receive(); err == nil || err == io.EOF {
			t.Errorf("the other direction: %v", err)
		}
		if err := c.Send(nil); fault.KindOf(err) != fault.Lost {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Who sends to a peer that is gone finds out first; what the peer said before must not be lost.
func TestReceive_HearsThePeersLastWordsAfterAFailedSend(t *testing.T) {
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, peer := line.New(near, nil), line.New(far, nil)
	defer c.Close()
	for range 100 {
		peer.Send([]byte("word"))
	}
	peer.Close()
	for c.Send(make([]byte, 1<<20)) == nil {
	}
	n := 0
	for ; ; n++ {
		f, err := c.Receive()
		if err != nil {
			break
		}
		if string(f) != "word" {
			t.Fatalf("got %q", f)
		}
	}
	if n != 100 {
		t.Errorf("%d words of 100 were heard", n)
	}
}

func TestClose_EndsBothDirectionsAndWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := wire(t, &line.Options{MaxBuffered: 10})
		results := make(chan error, 6)
		for range 5 {
			go func() { results <- c.Send(make([]byte, 100)) }()
		}
		go func() {
			_, err := c.Receive()
			results <- err
		}()
		synctest.Wait()
		c.Close()
		lost := 0
		for range 6 {
			if err := <-results; err != nil {
				lost++
				if fault.KindOf(err) != fault.Lost {
					t.Errorf("got %v", err)
				}
			}
		}
		if lost < 5 { // one frame may have been queued behind the one being written
			t.Errorf("only %d were told", lost)
		}
		if _, err := line.New(peer, nil).Receive(); err == nil {
			t.Error("the peer does not see the end")
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add(frame(3, []byte("abc")))
	f.Add(append(frame(0, nil), frame(1<<31, []byte("x"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, peer := net.Pipe()
		c := line.New(a, &line.Options{MaxFrame: 1 << 16})
		go func() {
			peer.Write(b)
			peer.Close()
		}()
		defer c.Close()
		for rest := b; ; {
			got, err := c.Receive()
			if err != nil {
				if (err == io.EOF) != (len(rest) == 0) {
					t.Fatalf("%v with %d bytes left", err, len(rest))
				}
				return
			}
			n := 4 + len(got)
			if len(rest) < n || !bytes.Equal(rest[:n], frame(uint32(len(got)), got)) {
				t.Fatalf("received %q of %q", got, rest)
			}
			rest = rest[n:]
		}
	})
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte("BCM1"), false)
	f.Add(append([]byte("BCM1"), make([]byte, 48)...), false)
	f.Add(make([]byte, 49), true)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		a, peer := net.Pipe()
		go io.Copy(io.Discard, peer)
		go func() {
			peer.Write(b)
			peer.Close()
		}()
		shake := line.Server
		if client {
			shake = line.Client
		}
		if c, err := shake(t.Context(), a, token, nil); err == nil {
			c.Close()
			t.Fatalf("%q was let in", b)
		}
	})
}

func ExampleConn_Send() {
	a, b := net.Pipe()
	client, server := line.New(a, nil), line.New(b, nil)
	go client.Send([]byte("hello"))
	frame, err := server.Receive()
	fmt.Println(string(frame), err)
	// Output: hello <nil>
}
