//go:build linux || darwin

package handoff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/handoff"
)

// pair is a sender and its receiver, both in this process.
type pair struct {
	*handoff.Sender
	l *handoff.Listener
}

func newPair(t testing.TB) pair {
	t.Helper()
	s, file, err := handoff.New()
	if err != nil {
		t.Fatal(err)
	}
	l, err := handoff.Inherit(take(t, file), "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		s.Finish(time.Minute)
	})
	return pair{s, l}
}

// take makes a descriptor of a file as a process inherits it, and closes the file.
func take(t testing.TB, f *os.File) (fd int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return fd
}

// connect returns both ends of a connection.
func connect(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	client.SetDeadline(time.Now().Add(time.Minute)) // a broken test must end
	return client, server
}

// send sends a connection and returns where its end is told.
func send(t testing.TB, s *handoff.Sender, c net.Conn, read string) <-chan bool {
	t.Helper()
	end := make(chan bool, 1)
	if err := s.Send(c, []byte(read), func(taken bool) { end <- taken }); err != nil {
		t.Fatal(err)
	}
	return end
}

func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// opened waits until a sender counts so many connections.
func opened(t testing.TB, s *handoff.Sender, want int) {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; runtime.Gosched() {
		if got, _, _ := s.Load(); got == want {
			return
		}
	}
}

func TestHandoff_WhatWasReadComesFirst(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, size := range []int{0, 1, 5000, handoff.MaxRead} {
			p := newPair(t)
			client, server := connect(t, network)
			text := strings.Repeat("0123456789", 10_000)
			go io.WriteString(client, text)
			before := make([]byte, size)
			if _, err := io.ReadFull(server, before); err != nil {
				t.Fatal(err)
			}
			end := send(t, p.Sender, server, string(before))
			got := accept(t, p.l)
			if !<-end {
				t.Fatal("it was not taken")
			}
			if server.SetDeadline(time.Time{}) == nil {
				t.Error("the sender's copy is open")
			}
			b := make([]byte, len(text))
			if _, err := io.ReadFull(got, b); err != nil || string(b) != text {
				t.Errorf("%s, %d bytes read before: %v", network, size, err)
			}
			io.WriteString(got, "answer")
			got.(interface{ CloseWrite() error }).CloseWrite()
			if answer, err := io.ReadAll(client); string(answer) != "answer" {
				t.Errorf("got %q, %v", answer, err)
			}
			if got.RemoteAddr() == nil || got.LocalAddr().Network() != network {
				t.Errorf("from %v to %v", got.RemoteAddr(), got.LocalAddr())
			}
			opened(t, p.Sender, 1)
			got.Close()
			got.Close()
			opened(t, p.Sender, 0)
		}
	}
}

func TestHandoff_CopyingKeepsWhatWasRead(t *testing.T) {
	p := newPair(t)
	client, server := connect(t, "tcp")
	send(t, p.Sender, server, "read before, ")
	io.WriteString(client, "read after")
	client.(*net.TCPConn).CloseWrite()
	var b bytes.Buffer
	if _, err := io.Copy(&b, accept(t, p.l)); err != nil || b.String() != "read before, read after" {
		t.Errorf("got %q, %v", &b, err)
	}
}

func TestHandoff_OnlyAFewWait(t *testing.T) {
	p := newPair(t)
	var ends []<-chan bool
	for range handoff.Window {
		_, server := connect(t, "tcp")
		ends = append(ends, send(t, p.Sender, server, "x"))
	}
	_, server := connect(t, "tcp")
	never := func(bool) { t.Error("it was told an end") }
	if err := p.Send(server, nil, never); fault.KindOf(err) != fault.Busy {
		t.Errorf("got %v", err)
	}
	if err := p.Send(server, make([]byte, handoff.MaxRead+1), never); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	a, _ := net.Pipe()
	if err := p.Send(a, nil, never); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	if open, room, ok := p.Load(); open != handoff.Window || room != 0 || !ok {
		t.Errorf("got %d, %d, %v", open, room, ok)
	}
	accept(t, p.l)
	<-ends[0]
	if open, room, _ := p.Load(); open != handoff.Window || room != 1 {
		t.Errorf("got %d, %d", open, room)
	}
	end := send(t, p.Sender, server, "")
	for range handoff.Window {
		accept(t, p.l)
	}
	if !<-end {
		t.Error("the last was not taken")
	}
}

func TestHandoff_WhatIsNotTakenComesBack(t *testing.T) {
	first, second := newPair(t), newPair(t)
	client1, server1 := connect(t, "tcp")
	client2, server2 := connect(t, "tcp")
	end1, end2 := send(t, first.Sender, server1, ""), send(t, first.Sender, server2, "before")
	taken := accept(t, first.l)
	first.l.Close()
	if !<-end1 || <-end2 {
		t.Fatal("got another end")
	}
	if _, err := first.l.Accept(); err != net.ErrClosed {
		t.Errorf("got %v", err)
	}
	if err := first.Send(server2, nil, nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
	if _, _, ok := first.Load(); ok {
		t.Error("it seems to take more")
	}
	send(t, second.Sender, server2, "before")
	io.WriteString(client2, " after\n")
	b := make([]byte, len("before after\n"))
	if _, err := io.ReadFull(accept(t, second.l), b); err != nil || string(b) != "before after\n" {
		t.Errorf("got %q, %v", b, err)
	}
	io.WriteString(taken, "it goes on")
	b = make([]byte, len("it goes on"))
	if _, err := io.ReadFull(client1, b); err != nil {
		t.Error(err)
	}
}

func TestHandoff_AReceiverThatDoesNotReadHoldsUpNobody(t *testing.T) {
	s, file, err := handoff.New()
	if err != nil {
		t.Fatal(err)
	}
	var ends []<-chan bool
	for range handoff.Window { // more than fits into a socket
		_, server := connect(t, "tcp")
		ends = append(ends, send(t, s, server, strings.Repeat("x", handoff.MaxRead)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Freeze(ctx); fault.KindOf(err) != fault.Busy {
		t.Errorf("got %v", err)
	}
	file.Close()
	for _, end := range ends {
		if <-end {
			t.Error("it seems to be taken")
		}
	}
	s.Finish(time.Minute)
}

func TestHandoff_ASenderThatEndsEndsAccept(t *testing.T) {
	s, file, err := handoff.New()
	if err != nil {
		t.Fatal(err)
	}
	l, err := handoff.Inherit(take(t, file), "unix", "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Addr().String() != "/run/s" {
		t.Errorf("got %v", l.Addr())
	}
	s.Finish(0)
	if _, err := l.Accept(); err != net.ErrClosed {
		t.Errorf("got %v", err)
	}
}

func TestHandoff_AConnectionThatWasResetIsLeftOut(t *testing.T) {
	p := newPair(t)
	client, server := connect(t, "tcp")
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	end := send(t, p.Sender, server, "")
	_, other := connect(t, "tcp")
	send(t, p.Sender, other, "")
	if got := accept(t, p.l); got.RemoteAddr().String() != other.RemoteAddr().String() {
		t.Errorf("got the one from %v", got.RemoteAddr())
	}
	if !<-end {
		t.Error("it came back")
	}
	opened(t, p.Sender, 1)
}

func TestHandoff_OutOfDescriptors(t *testing.T) {
	p := newPair(t)
	client, server := connect(t, "tcp")
	end := send(t, p.Sender, server, "before")
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 256
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var all []int
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		all = append(all, fd)
	}
	_, failed := p.l.Accept()
	for _, fd := range all {
		unix.Close(fd)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(failed, syscall.EMFILE) {
		t.Errorf("got %v", failed)
	}
	if <-end {
		t.Fatal("it seems to be taken")
	}
	opened(t, p.Sender, 0)
	send(t, p.Sender, server, "before")
	io.WriteString(accept(t, p.l), "hello\n")
	if _, err := io.ReadFull(client, make([]byte, 6)); err != nil {
		t.Error(err)
	}
}

func TestFreeze_AProcessThatIsGoneIsLost(t *testing.T) {
	s, file, err := handoff.New()
	if err != nil {
		t.Fatal(err)
	}
	file.Close() // the process's end
	s.Finish(time.Minute)
	if f, _, err := s.Freeze(t.Context()); f != nil || fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want that it is lost", err)
	}
}

func TestFreeze_AnotherSenderGoesOn(t *testing.T) {
	p := newPair(t)
	_, server := connect(t, "tcp")
	client, waiting := connect(t, "tcp")
	send(t, p.Sender, server, "")
	first := accept(t, p.l)
	end := send(t, p.Sender, waiting, "before")
	// It is written, or Freeze would be refused.
	var file *os.File
	var st handoff.State
	var err error
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for file == nil {
		if file, st, err = p.Freeze(ctx); err != nil && fault.KindOf(err) != fault.Busy {
			t.Fatal(err)
		}
	}
	defer file.Close()
	if want := (handoff.State{Open: 2, Untaken: 1}); st != want {
		t.Errorf("got %+v, want %+v", st, want)
	}
	if !<-end {
		t.Error("the receiver's connection came back")
	}
	if err := p.Send(waiting, nil, nil); err == nil {
		t.Error("a frozen sender sends")
	}
	next, err := handoff.Resume(file, st)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.l.Close(); next.Finish(time.Minute) })
	if open, room, ok := next.Load(); open != 2 || room != handoff.Window-1 || !ok {
		t.Errorf("got %d, %d, %v", open, room, ok)
	}
	_, third := connect(t, "tcp")
	end = send(t, next, third, "third")
	io.WriteString(accept(t, p.l), "second\n")
	if _, err := io.ReadFull(client, make([]byte, 7)); err != nil {
		t.Error(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(accept(t, p.l), b); err != nil || string(b) != "third" || !<-end {
		t.Errorf("got %q, %v", b, err)
	}
	opened(t, next, 3)
	first.Close()
	opened(t, next, 2)
	for _, bad := range []handoff.State{{Open: -1}, {Untaken: 1}, {Open: 100, Untaken: handoff.Window + 1}} {
		if _, err := handoff.Resume(file, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}

func TestHandoff_ThousandLeaveNothingOpen(t *testing.T) {
	p := newPair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one := func() {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		end := send(t, p.Sender, server, "x")
		got, err := p.l.Accept()
		if err != nil || !<-end {
			t.Fatal(err)
		}
		got.Close()
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Fatal("it is open")
		}
	}
	one()
	files, routines := openFiles(t), runtime.NumGoroutine()
	for range 1000 {
		one()
	}
	if got := openFiles(t); got != files {
		t.Errorf("%d open files after 1000 connections, %d after one", got, files)
	}
	if got := runtime.NumGoroutine(); got > routines {
		t.Errorf("%d goroutines after 1000 connections, %d after one", got, routines)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// hostile returns a listener and the other end of its pair.
func hostile(t testing.TB) (*net.UnixConn, *handoff.Listener) {
	t.Helper()
	conn, file, err := process.Pair()
	if err != nil {
		t.Fatal(err)
	}
	l, err := handoff.Inherit(take(t, file), "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); conn.Close() })
	return conn.(*net.UnixConn), l
}

func descriptor(t testing.TB, c syscall.Conn) (fd int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(n uintptr) { fd = int(n) })
	return fd
}

func frame(read string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(read))), read...)
}

func TestListener_TakesFramesInPieces(t *testing.T) {
	conn, l := hostile(t)
	client, server := connect(t, "tcp")
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	b := frame("in pieces")
	if _, _, err := conn.WriteMsgUnix(b[:1], unix.UnixRights(descriptor(t, server.(syscall.Conn))), nil); err != nil {
		t.Fatal(err)
	}
	for i := range b[1:] {
		if _, err := conn.Write(b[1+i : 2+i]); err != nil {
			t.Fatal(err)
		}
	}
	got := <-accepted
	defer got.Close()
	io.WriteString(client, "!")
	text := make([]byte, 10)
	if _, err := io.ReadFull(got, text); err != nil || string(text) != "in pieces!" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestListener_RefusesNonsense(t *testing.T) {
	_, server := connect(t, "tcp")
	sock := descriptor(t, server.(syscall.Conn))
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packet.Close()
	udp := descriptor(t, packet.(syscall.Conn))
	type message struct {
		data []byte
		fds  []int
	}
	for name, messages := range map[string][]message{
		"no socket":            {{frame("x"), nil}},
		"text":                 {{[]byte("GET / HTTP/1.1\r\n\r\n"), nil}},
		"a file":               {{frame("x"), []int{descriptor(t, plain)}}},
		"a packet socket":      {{frame("x"), []int{udp}}},
		"two sockets":          {{frame("x"), []int{sock, sock}}},
		"many sockets":         {{frame("x"), []int{sock, sock, sock, sock, sock, sock, sock, sock}}},
		"a long announcement":  {{[]byte{255, 255, 255, 255}, []int{sock}}},
		"one byte too many":    {{binary.BigEndian.AppendUint32(nil, handoff.MaxRead+1), []int{sock}}},
		"an end in the header": {{[]byte{0, 0}, []int{sock}}},
		"an end in the bytes":  {{frame("text")[:6], []int{sock}}},
		"sockets afterwards":   {{frame("text")[:6], []int{sock}}, {[]byte("x"), []int{sock, sock}}},
	} {
		conn, l := hostile(t)
		files := openFiles(t)
		for _, m := range messages {
			if _, _, err := conn.WriteMsgUnix(m.data, unix.UnixRights(m.fds...), nil); err != nil {
				t.Fatal(err)
			}
		}
		conn.CloseWrite()
		if c, err := l.Accept(); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
		if _, err := l.Accept(); err != net.ErrClosed {
			t.Errorf("%s: got %v afterwards", name, err)
		}
		if got := openFiles(t); got != files-1 { // the listener's own is closed
			t.Errorf("%s: %d open files, want %d", name, got, files-1)
		}
	}
}

func TestInherit_RefusesWhatIsNone(t *testing.T) {
	if _, err := handoff.Inherit(999, "tcp", "127.0.0.1:80"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	for _, addr := range [][2]string{{"tcp", "nowhere"}, {"udp", "127.0.0.1:80"}} {
		_, file, err := handoff.New()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := handoff.Inherit(take(t, file), addr[0], addr[1]); fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v", err)
		}
	}
	_, server := connect(t, "tcp")
	f, err := server.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handoff.Inherit(take(t, f), "tcp", "127.0.0.1:80"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestSender_GivesBackWhatANonsensicalReceiverHas(t *testing.T) {
	for _, says := range []string{"x", "e", "r t", "tteee", "rrr", strings.Repeat("t", 1000)} {
		s, file, err := handoff.New()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		_, server := connect(t, "tcp")
		_, other := connect(t, "tcp")
		ends := []<-chan bool{send(t, s, server, ""), send(t, s, other, "")}
		io.WriteString(conn, says)
		for _, end := range ends {
			<-end
		}
		if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: got %v", says, err)
		}
		s.Finish(time.Minute)
		conn.Close()
	}
}

// FuzzListener reads frames from a sender that is not one.
func FuzzListener(f *testing.F) {
	f.Add(frame(""), true)
	f.Add(frame("hello"), true)
	f.Add(append(frame("a"), frame("b")...), true)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), false)
	f.Add([]byte{255, 255, 255, 255, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, socket bool) {
		if len(data) > 100_000 {
			return
		}
		_, server := connect(t, "tcp")
		conn, l := hostile(t)
		var rights []byte
		if socket {
			rights = unix.UnixRights(descriptor(t, server.(syscall.Conn)))
		}
		go func(data []byte) { // ends when the listener is closed
			n, _, _ := conn.WriteMsgUnix(data, rights, nil)
			conn.Write(data[n:])
			conn.CloseWrite()
		}(data)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			want := binary.BigEndian.Uint32(data)
			b := make([]byte, want)
			if _, err := io.ReadFull(c, b); err != nil || !bytes.Equal(b, data[4:4+want]) {
				t.Errorf("got %q of %q, %v", b, data, err)
			}
			c.Close()
			data = data[4+want:]
		}
	})
}

// FuzzSender hears a receiver that is not one.
func FuzzSender(f *testing.F) {
	f.Add([]byte("t"), 1)
	f.Add([]byte("tttee"), 3)
	f.Add([]byte("rtr"), 8)
	f.Add([]byte("e"), 0)
	f.Fuzz(func(t *testing.T, says []byte, n int) {
		s, file, err := handoff.New()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		n = min(max(n, 0), handoff.Window)
		end := make(chan bool, n)
		for range n {
			_, server := connect(t, "tcp")
			if s.Send(server, says[:min(len(says), 100)], func(taken bool) { end <- taken }) != nil {
				end <- false
			}
		}
		conn.Write(says)
		conn.Close()
		for range n { // each is told its end
			<-end
		}
		s.Finish(time.Minute)
		if open, room, ok := s.Load(); ok || open < 0 || room != 0 {
			t.Errorf("got %d, %d, %v after %q", open, room, ok, says)
		}
	})
}
