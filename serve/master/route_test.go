//go:build linux || darwin

package master_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
)

func routed(s master.Spec, route string) master.Spec {
	s.Route = route
	return s
}

func TestRoute_SocketsAndPolicyComeWithTheVersion(t *testing.T) {
	m := newMaster(t, &master.Options{Keeper: keeper.Options{Probation: time.Millisecond}})
	udp := "time=udp://127.0.0.1:0"
	first := deploy(t, m, routed(spec("one", "127.0.0.1:0"), "least")).Sockets
	if first[0].Route != "least" {
		t.Errorf("got %v", first)
	}
	ask(t, "tcp", first[0].Addr, "one")
	second := deploy(t, m, routed(spec("two", "127.0.0.1:0", "admin=127.0.0.1:0"), "ip")).Sockets
	if second[0].Addr != first[0].Addr || second[0].Route != "ip" || second[1].Route != "ip" {
		t.Errorf("got %v after %v", second, first)
	}
	ask(t, "tcp", first[0].Addr, "two")
	ask(t, "tcp", second[1].Addr, "two")
	await(t, m, func(st keeper.Status) bool { return !st.Probation })
	deploy(t, m, routed(spec("three", "127.0.0.1:0"), "ip"))
	refused(t, second[1].Addr)
	ask(t, "tcp", first[0].Addr, "three")
	// The service takes no datagrams, which is not the route's fault.
	err := m.Deploy(t.Context(), routed(spec("four", "127.0.0.1:0", udp), "least"), program(t))
	if err == nil || !strings.Contains(err.Error(), "the service needs connections") {
		t.Errorf("got %v", err)
	}
	ask(t, "tcp", first[0].Addr, "three")
}

func TestRoute_CannotBeginOrEndWhileItServes(t *testing.T) {
	for _, before := range []string{"", "least"} {
		after := "least"
		if before == after {
			after = ""
		}
		m := newMaster(t, &master.Options{Name: "mine"})
		addr := deploy(t, m, routed(spec("one", "127.0.0.1:0"), before)).Sockets[0].Addr
		err := m.Deploy(t.Context(), routed(spec("two", "127.0.0.1:0"), after), program(t))
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "has to be stopped") {
			t.Errorf("got %v", err)
		}
		ask(t, "tcp", addr, "one")
	}
	// One that never served can.
	m := newMaster(t, nil)
	bad := routed(spec("one", "127.0.0.1:0"), "least")
	bad.Service = "unknown"
	if err := m.Deploy(t.Context(), bad, program(t)); fault.KindOf(err) != fault.Remote {
		t.Errorf("got %v", err)
	}
	ask(t, "tcp", deploy(t, m, spec("one", "127.0.0.1:0")).Sockets[0].Addr, "one")
}

func TestRoute_OfAVersionThatIsUndone(t *testing.T) {
	m := newMaster(t, &master.Options{Keeper: keeper.Options{MaxDeaths: -1}})
	old := deploy(t, m, routed(spec("one", "127.0.0.1:0"), "least")).Sockets[0].Addr
	deploy(t, m, routed(spec("crash", "127.0.0.1:0"), "ip"))
	c, err := net.Dial("tcp", old)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	await(t, m, func(st keeper.Status) bool {
		return !st.Probation && st.Report != "" && st.Sockets[0].Addr == old && st.Sockets[0].Route == "least"
	})
	ask(t, "tcp", old, "one")
}

func TestRoute_CloseHandsOverWhatWasAccepted(t *testing.T) {
	m := newMaster(t, nil)
	addr := deploy(t, m, routed(spec("one", "127.0.0.1:0"), "line")).Sockets[0].Addr
	slow, err := net.Dial("tcp", addr) // and sends no line
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fast, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	for _, c := range []net.Conn{fast, slow} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	io.WriteString(fast, "me first\n")
	if got, err := bufio.NewReader(fast).ReadString('\n'); got != "one\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := m.Close(t.Context()); err != nil { // the slow one was accepted before
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(slow).ReadString('\n'); got != "one\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRoute_IsCheckedFirst(t *testing.T) {
	for _, s := range []master.Spec{
		{Route: "nearest"}, {Route: "header:"}, {Route: "least", Listen: []string{"udp://127.0.0.1:0"}},
		{Route: "line", TLS: cert.Source{Self: true}},
	} {
		if err := s.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", s, err)
		}
	}
	mixed := master.Spec{Route: "least", Listen: []string{":0", "udp://127.0.0.1:0"}}
	if err := mixed.Check(); err != nil {
		t.Error(err)
	}
	if mixed.SameCode(master.Spec{Listen: mixed.Listen}) {
		t.Error("a process need not be replaced for another route")
	}
}
