package session_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/talk/door/session"
)

// raw is a client without a library.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func (s *served) raw(t *testing.T) raw {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	s.is(t, "accepted")
	return raw{c, in}
}

// rawFrame is one of RFC 6455, 5.2, masked with zeros. more says that it is not the last of its message.
func rawFrame(opcode byte, more bool, length uint64, payload string) string {
	first := 0x80 | opcode
	if more {
		first = opcode
	}
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

func text(payload string) string { return rawFrame(1, false, uint64(len(payload)), payload) }

// fine checks that somebody else notices nothing.
func (c client) fine() {
	c.t.Helper()
	c.say(`{"id":1,"request":"Multiply","value":{"x":2,"y":3}}`)
	c.hears(`{"id":1,"value":["crunch.Output",{"value":6},[]]}`)
}

func TestHostile_WhoNeverReadsIsCutOff(t *testing.T) {
	const hasty = `{"request":"Flood","value":{"n":1000,"size":60000,"hasty":true}}` // more than the system takes in its place
	for _, c := range []struct {
		opts          session.Options
		request, want string
	}{
		{session.Options{WriteWithin: 50 * time.Millisecond}, `{"request":"Flood","value":{"n":1000,"size":1000000}}`, "abandoned: it did not take a message in time"},
		{session.Options{MaxQueueBytes: 64 << 10}, hasty, "abandoned: it does not read: "},
		{session.Options{MaxQueue: 10}, hasty, "abandoned: it does not read: 10 messages"},
	} {
		s := start(t, nil, &c.opts)
		good := s.dial(t, nil)
		bad := s.raw(t)
		io.WriteString(bad, text(c.request))
		s.is(t, c.want)
		good.fine()
	}
}

func TestHostile_WhoSendsOnlyIsSlowedDownAndCutOff(t *testing.T) {
	s := start(t, nil, &session.Options{WriteWithin: 50 * time.Millisecond, MaxRequests: 4})
	good := s.dial(t, nil)
	bad := s.raw(t)
	gone := make(chan error, 1)
	go func() {
		for {
			if _, err := io.WriteString(bad, text(`{"id":1,"request":"Echo","value":{"name":"`+strings.Repeat("x", 100_000)+`"}}`)); err != nil {
				gone <- err
				return
			}
		}
	}()
	s.is(t, "abandoned: it ")
	<-gone
	good.fine()
}

func TestHostile_WhoIsSilentIsAsked(t *testing.T) {
	s := start(t, nil, &session.Options{PingEvery: 10 * time.Millisecond, PongWithin: 20 * time.Millisecond})
	bad := s.raw(t)
	s.is(t, "abandoned: it does not answer") // the raw client does not
	half := s.raw(t)
	io.WriteString(half, text(`{"id":1,"request":"Hold"}`)+text("half a message")[:8])
	<-s.held
	told := []string{<-s.told, <-s.told}
	slices.Sort(told)
	if want := []string{"abandoned: it does not answer", "canceled "}; !slices.Equal(told, want) {
		t.Errorf("it was told %q, want %q", told, want)
	}
	if rest, err := io.ReadAll(bad.in); err == nil && len(rest) == 0 {
		t.Error("there was no ping")
	}
}

func TestSession_WhoAnswersPingsStays(t *testing.T) {
	s := start(t, nil, &session.Options{PingEvery: time.Millisecond, PongWithin: time.Minute})
	pings := make(chan struct{}, 1000)
	c := s.dial(t, &websocket.DialOptions{OnPingReceived: func(_ context.Context, _ []byte) bool {
		select {
		case pings <- struct{}{}:
		default:
		}
		return true
	}})
	heard := make(chan error, 1)
	go func() { _, _, err := c.Read(c.ctx); heard <- err }()
	for range 20 {
		<-pings
	}
	c.say(`{"id":1,"request":"Multiply"}`)
	if err := <-heard; err != nil {
		t.Error(err)
	}
}

func TestHostile_EachHasOneClearEnd(t *testing.T) {
	s := start(t, nil, &session.Options{MaxMessage: 1000})
	good := s.dial(t, nil)
	garbage := make([]byte, 10_000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	garbage[0], garbage[1] = 0xff, 0xff
	for name, c := range map[string]struct {
		sent string
		code uint16 // 0: none
	}{
		"garbage":             {string(garbage), 1002},
		"not masked":          {"\x81\x02{}", 0},
		"unknown opcode":      {rawFrame(3, false, 0, ""), 1002},
		"continues nothing":   {rawFrame(0, false, 0, ""), 1002},
		"large control frame": {rawFrame(9, false, 200, strings.Repeat("x", 200)), 1002},
		"too large":           {text(strings.Repeat("x", 2000)), 1009},
		"too large in pieces": {rawFrame(1, true, 1, "x") + strings.Repeat(rawFrame(0, true, 100, strings.Repeat("x", 100)), 20), 1009},
		"larger than it says": {rawFrame(1, false, 1<<62, strings.Repeat("x", 3000)), 1009},
		"not JSON":            {text("hello"), 1007},
		"not UTF-8":           {text("{\"request\":\"\xff\"}"), 1007},
		"binary":              {rawFrame(2, false, 2, "{}"), 1003},
		"half, then gone":     {text("{}")[:5], 0},
	} {
		bad := s.raw(t)
		io.WriteString(bad, c.sent)
		bad.Conn.(*net.TCPConn).CloseWrite()
		code := uint16(0)
		if head, err := bad.in.Peek(4); err == nil && head[0] == 0x88 {
			code = binary.BigEndian.Uint16(head[2:])
		}
		if code != c.code {
			t.Errorf("%s: it ends with %d, want %d", name, code, c.code)
		}
		bad.Close()
		if got := <-s.told; !strings.HasPrefix(got, "abandoned") && !strings.HasPrefix(got, "closed") {
			t.Errorf("%s: it was told %q", name, got)
		}
		good.fine()
	}
}

func TestHostile_NoHandshake(t *testing.T) {
	s := start(t, nil, &session.Options{MaxSessions: 1})
	const upgrade, key = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	const good = upgrade + "Sec-WebSocket-Version: 13\r\n" + key
	ask := func(request, header string) (*http.Response, string) {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "%s\r\nHost: x\r\nX-Request-Id: me\r\n%s\r\n", request, header)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return res, ""
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for _, c := range []struct {
		request, header string
		status          int
		field, detail   string // of the answer's header, and of the problem
	}{
		{"GET / HTTP/1.1", upgrade + key, 400, "Sec-Websocket-Version", `the WebSocket version is \"\", want 13`},
		{"GET / HTTP/1.1", upgrade + "Sec-WebSocket-Version: 12\r\n" + key, 400, "Sec-Websocket-Version", `the WebSocket version is \"12\", want 13`},
		{"GET / HTTP/1.1", upgrade + "Sec-WebSocket-Version: 13\r\n", 400, "", "Sec-WebSocket-Key"},
		{"GET / HTTP/1.1", upgrade + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n", 400, "", "Sec-WebSocket-Key"},
		{"GET / HTTP/1.1", good + key, 400, "", "Sec-WebSocket-Key"},
		{"GET / HTTP/1.1", good + "Sec-WebSocket-Protocol: mqtt, soap\r\n", 400, "", `there is no subprotocol \"mqtt, soap\"; there is become.json, become.cbor`},
		{"GET / HTTP/1.1", good + "Sec-WebSocket-Protocol: " + strings.Repeat("x", 10_000) + "\r\n", 400, "", `xxx...\"`},
		{"GET / HTTP/1.1", good + "Origin: http://evil.example\r\n", 403, "", "another origin"},
		{"POST / HTTP/1.1", good, 405, "Allow", "GET, not POST"},
		{"GET / HTTP/1.0", good, 426, "Upgrade", "HTTP/1.1"},
		{"GET / HTTP/1.1", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key, 426, "Upgrade", "has no Upgrade"},
		{"GET / HTTP/1.1", "Connection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key, 426, "Upgrade", "has no Upgrade"},
	} {
		res, body := ask(c.request, c.header)
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, c.detail) || !strings.Contains(body, `"request_id":"me"`) {
			t.Errorf("%s %.200q: got %d %v %s", c.request, c.header, res.StatusCode, res.Header, body)
		}
		if c.field != "" && res.Header.Get(c.field) == "" {
			t.Errorf("%s %.200q: the header has no %s: %v", c.request, c.header, c.field, res.Header)
		}
	}
	if res, _ := ask("GET / HTTP/1.1", good+"Sec-WebSocket-Protocol: mqtt, become.cbor\r\n"); res.StatusCode != 101 || res.Header.Get("Sec-Websocket-Protocol") != "become.cbor" {
		t.Errorf("one of several: got %d %v", res.StatusCode, res.Header)
	}
	s.is(t, "accepted")
	s.is(t, "abandoned")
	for end := time.Now().Add(time.Minute); s.door.Open() > 0 && time.Now().Before(end); runtime.Gosched() { // its place is free a moment later
	}
	first := s.dial(t, nil)
	if res, body := ask("GET / HTTP/1.1", good); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "there are 1 already") {
		t.Errorf("one too many: got %d %v %s", res.StatusCode, res.Header, body)
	}
	first.fine()
}

func TestSession_LeavesNothingBehind(t *testing.T) {
	s := start(t, nil, nil)
	first := s.dial(t, nil) // for what the libraries start once
	first.fine()
	first.CloseNow()
	s.is(t, "abandoned")
	before := runtime.NumGoroutine()
	for i := range 100 {
		c := s.raw(t)
		io.WriteString(c, text(`{"id":1,"request":"Push","value":{"texts":["a","b"]}}`)+text(`{"id":2,"request":"Hold"}`))
		<-s.held
		if i%2 == 0 {
			c.Conn.(*net.TCPConn).SetLinger(0) // a reset
		}
		c.Close()
		for range 2 { // canceled and abandoned
			<-s.told
		}
	}
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before || s.door.Open() > 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after; %d sessions are open", before, runtime.NumGoroutine(), s.door.Open())
		}
	}
}
