//go:build unix

package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cas"
	"github.com/universal-server/become/work/roster"
)

// serve is a serving process that answers each connection with the word of its settings. The word
// "exit" lets it fail at the start, "crash" at the first connection. The service live takes another word while it runs.
func serve() int {
	var word atomic.Value
	word.Store("")
	configure := func(data json.RawMessage) error {
		var next string
		if json.Unmarshal(data, &next); next == "exit" {
			return errors.New("it will not")
		}
		word.Store(next)
		return nil
	}
	says := service.Service{
		Name: "word", Configure: configure,
		Serve: service.Conn(func(_ context.Context, c net.Conn) error {
			fmt.Println("asked for", word.Load())
			if word.Load() == "crash" {
				syscall.Exit(3)
			}
			_, err := fmt.Fprintf(c, "%s %d\n", word.Load(), os.Getpid())
			return err
		}, nil),
	}
	live := says
	live.Name, live.Reconfigure = "live", func(_ context.Context, data json.RawMessage) error { return configure(data) }
	err := service.RunKept(context.Background(), []service.Service{says, live, cas.Service(nil, nil)}, nil)
	if err != nil {
		return 1
	}
	return 0
}

// crew is a fleet's services as a client sees them.
type crew struct {
	t      *testing.T
	f      *fleet.Fleet
	roles  *role.Store
	digest string
}

func newCrew(t *testing.T, n *node.Node) *crew {
	t.Helper()
	f, err := fleet.Connect(t.Context(), &fleet.Options{URL: n.URL(), Key: n.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	roles, err := role.Open(t.Context(), f.Bus())
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	digest, size, err := bundle.FileDigest(path)
	if err != nil {
		t.Fatal(err)
	}
	m := nativeManifest(nil)
	m.Digest, m.Size, m.Name = digest, size, "word"
	if _, err := f.Ship(t.Context(), m, bundle.File(path), nil); err != nil {
		t.Fatal(err)
	}
	return &crew{t, f, roles, digest}
}

// deploy lets the role become a server of the word at the addresses.
func (c *crew) deploy(name, word string, listen ...string) role.Role {
	c.t.Helper()
	settings, _ := json.Marshal(word)
	r, _, err := c.roles.Deploy(c.t.Context(), name, role.Edition{
		Digest: c.digest, Bundle: "word", Spec: master.Spec{Service: "word", Listen: listen, Procs: 2, Settings: settings},
	}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// await waits until what the nodes say of a role is as wanted.
func (c *crew) await(what, name string, f func([]role.Status) bool) (all []role.Status) {
	c.t.Helper()
	eventually(c.t, soon(c.t), what, func() bool {
		all = nil
		c.f.Ask(c.t.Context(), role.Subject, struct{}{}, 0, func(data []byte) {
			var st role.NodeStatus
			if err := json.Unmarshal(data, &st); err != nil {
				c.t.Error(err)
			}
			for _, r := range st.Roles {
				if r.Name == name {
					all = append(all, r)
				}
			}
		})
		return f(all)
	})
	return all
}

// follows waits until n nodes serve the role as its record says.
func (c *crew) follows(r role.Role, n int, state string) []role.Status {
	c.t.Helper()
	return c.await(fmt.Sprintf("%d nodes are %s", n, state), r.Name, func(all []role.Status) bool {
		for _, st := range all {
			if st.Seen < r.Revision || st.State != state || st.Reason != "" {
				return false
			}
		}
		return len(all) == n
	})
}

// record waits until the role's record is as wanted.
func (c *crew) record(what, name string, f func(role.Role) bool) (r role.Role) {
	c.t.Helper()
	eventually(c.t, soon(c.t), what, func() bool {
		var err error
		if r, err = c.roles.Get(c.t.Context(), name); err != nil {
			c.t.Fatal(err)
		}
		return f(r)
	})
	return r
}

// word asks a server, once every version before has left.
func word(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	text, _ := bufio.NewReader(c).ReadString('\n')
	first, _, _ := strings.Cut(text, " ")
	return first
}

func (c *crew) eventuallySays(addr, want string) {
	c.t.Helper()
	// The version before may take one more connection while it learns that it has to leave.
	eventually(c.t, soon(c.t), "it says "+want, func() bool { return word(c.t, addr) == want })
}

func refuses(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestServices_DoWhatTheirRecordSays(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	c := newCrew(t, n)
	addr := c.follows(c.deploy("web", "one", "127.0.0.1:0"), 1, "serving")[0].Sockets[0].Addr
	c.eventuallySays(addr, "one")
	c.follows(c.deploy("web", "two", "127.0.0.1:0"), 1, "serving")
	c.eventuallySays(addr, "two")
	eventually(t, soon(t), "its log says so", func() bool {
		lines, err := c.f.LogLines(t.Context(), 1, roster.LogQuery{Of: []string{"web"}})
		return err == nil && slices.ContainsFunc(lines, func(l roster.LogLine) bool {
			return l.Text == "asked for two" && strings.HasPrefix(l.Worker, "web.2.") && l.Stream == "stdout"
		})
	})

	change := func(r role.Role, err error) role.Role {
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ctx := t.Context()
	if st := c.follows(change(c.roles.Scale(ctx, "web", 3, "me")), 1, "serving"); st[0].Ready != 3 {
		t.Errorf("scaled: %+v", st)
	}
	before := c.await("three processes", "web", func(all []role.Status) bool { return len(all[0].Processes) == 3 })[0].Processes
	c.follows(change(c.roles.Restart(ctx, "web", "me")), 1, "serving")
	c.await("three others", "web", func(all []role.Status) bool {
		for _, p := range all[0].Processes {
			for _, old := range before {
				if p.PID == old.PID {
					return false
				}
			}
		}
		return len(all[0].Processes) == 3
	})
	c.follows(change(c.roles.SetState(ctx, "web", role.Paused, "me")), 1, "paused")
	waiting, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	c.follows(change(c.roles.SetState(ctx, "web", role.Running, "me")), 1, "serving")
	if text, err := bufio.NewReader(waiting).ReadString('\n'); !strings.HasPrefix(text, "two ") {
		t.Errorf("who connected in the pause got %q, %v", text, err)
	}
	c.follows(change(c.roles.SetState(ctx, "web", role.Stopped, "me")), 1, "stopped")
	if !refuses(addr) {
		t.Error("it listens, but is stopped")
	}
	addr = c.follows(change(c.roles.SetState(ctx, "web", role.Running, "me")), 1, "serving")[0].Sockets[0].Addr
	c.follows(change(c.roles.Rollback(ctx, "web", "", "me")), 1, "serving")
	c.eventuallySays(addr, "one")
	if err := c.roles.Remove(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	c.await("it is gone", "web", func(all []role.Status) bool { return len(all) == 0 })
	if !refuses(addr) {
		t.Error("it listens, but is removed")
	}
}

func TestServices_TakeBackWhatDoesNotLast(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	c := newCrew(t, n)
	c.deploy("bad", "exit", "127.0.0.1:0")
	c.record("the only edition failed", "bad", func(r role.Role) bool {
		return r.State == role.Failed && strings.Contains(r.Report, "on node "+n.ID()) && strings.Contains(r.Report, "it will not")
	})
	c.await("it is failed", "bad", func(all []role.Status) bool { return len(all) == 1 && all[0].State == "failed" && all[0].Report != "" })

	r := c.deploy("web", "good", "127.0.0.1:0")
	addr := c.follows(r, 1, "serving")[0].Sockets[0].Addr
	c.deploy("web", "exit", "127.0.0.1:0")
	r = c.record("it is taken back", "web", func(r role.Role) bool { return r.Now.Number == 3 })
	if string(r.Now.Spec.Settings) != `"good"` || !strings.Contains(r.Report, "it will not") {
		t.Errorf("got %+v", r)
	}
	c.eventuallySays(addr, "good")

	// It becomes ready, and then dies too often: the old one comes back by itself, for all.
	c.deploy("web", "crash", "127.0.0.1:0")
	r = c.record("it is taken back", "web", func(r role.Role) bool {
		word(t, addr)
		return r.Now.Number == 5
	})
	if string(r.Now.Spec.Settings) != `"good"` || !strings.Contains(r.Report, "did not stand its probation") {
		t.Errorf("got %+v", r)
	}
	c.eventuallySays(addr, "good")
}

// Settings that processes took while they run are taken back, for all nodes, when those do not last; and no process is swapped for it.
func TestServices_TakeBackSettingsThatDoNotLast(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	c := newCrew(t, n)
	r, _, err := c.roles.Deploy(t.Context(), "live", role.Edition{
		Digest: c.digest, Bundle: "word", Spec: master.Spec{Service: "live", Listen: []string{"127.0.0.1:0"}, Procs: 2, Settings: json.RawMessage(`"good"`)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	addr := c.follows(r, 1, "serving")[0].Sockets[0].Addr
	for _, edition := range []uint64{3, 5} {
		r, _, err = c.roles.Configure(t.Context(), "live", "me", func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`"crash"`), nil })
		if err != nil {
			t.Fatal(err)
		}
		c.follows(r, 1, "serving")
		r = c.record("they are taken back", "live", func(r role.Role) bool {
			word(t, addr)
			return r.Now.Number == edition
		})
		if string(r.Now.Spec.Settings) != `"good"` || !strings.Contains(r.Report, "the settings did not stand their probation") {
			t.Errorf("got %+v", r)
		}
		st := c.await("both serve", "live", func(all []role.Status) bool { return len(all) == 1 && all[0].Ready == 2 && all[0].Seen >= r.Revision })
		if c.eventuallySays(addr, "good"); st[0].Generation != 1 {
			t.Errorf("got %+v, want the processes of generation 1", st)
		}
	}
}

func TestServices_SayWhoHoldsAnAddress(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	c := newCrew(t, n)
	addr := c.follows(c.deploy("crunch", "one", "127.0.0.1:0"), 1, "serving")[0].Sockets[0].Addr
	c.deploy("other", "two", addr)
	want := fmt.Sprintf("cannot listen at %q: address already in use by role crunch", addr)
	c.record("it is refused", "other", func(r role.Role) bool { return r.State == role.Failed && strings.HasSuffix(r.Report, want) })
	c.eventuallySays(addr, "one")
}

// A service that cannot be started is not paused, which nobody has asked for.
func TestServices_ArePausedOnlyIfTheyAreToBe(t *testing.T) {
	none, paused := keeper.Status{}, keeper.Status{Paused: true, Generation: 1}
	for _, c := range []struct {
		k          keeper.Status
		to         role.State
		busy, want string
	}{
		{none, role.Running, "", "starting"}, {none, role.Paused, "", "paused"}, {none, role.Paused, "deploying", "starting"}, {paused, role.Running, "", "paused"},
	} {
		if got := node.StateOf(c.k, c.to, c.busy, 0); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestServices_RunOnTheNodesThatAreMeant(t *testing.T) {
	t.Parallel()
	first, _ := start(t, node.Options{})
	second, err := node.Start(t.Context(), node.Options{Home: t.TempDir(), URL: first.URL(), Key: first.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	c := newCrew(t, first)
	c.follows(c.deploy("web", "one", "127.0.0.1:0"), 2, "serving")
	c.deploy("web", "exit", "127.0.0.1:0")
	c.follows(c.record("it is taken back", "web", func(r role.Role) bool { return r.Now.Number == 3 }), 2, "serving")

	r, _, err := c.roles.Deploy(t.Context(), "web", role.Edition{Digest: c.digest, Spec: master.Spec{Service: "word", Listen: []string{"127.0.0.1:0"}}}, []string{second.ID()})
	if err != nil {
		t.Fatal(err)
	}
	c.follows(r, 1, "serving")
}

func TestServices_SurviveTheRestartOfTheirNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, err := node.Start(t.Context(), node.Options{Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := newCrew(t, n)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	pids := c.follows(c.deploy("web", "one", addr), 1, "serving")[0].Processes
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range pids {
		if !gone(p.PID) {
			t.Errorf("process %d is left", p.PID)
		}
	}
	if !refuses(addr) {
		t.Error("its socket is still open")
	}
	start(t, node.Options{Home: dir})
	eventually(t, soon(t), "it serves again", func() bool { return !refuses(addr) })
	if got := word(t, addr); got != "one" {
		t.Errorf("it says %q", got)
	}
}

func TestServices_NeedABundleThatIsThere(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	c := newCrew(t, n)
	c.digest = strings.Repeat("0", 64)
	c.deploy("web", "one", "127.0.0.1:0")
	r := c.record("it failed", "web", func(r role.Role) bool { return r.State == role.Failed })
	if r.Report == "" || fault.KindOf(c.roles.Remove(t.Context(), "nothing")) != fault.NotFound {
		t.Errorf("got %+v", r)
	}
}

func TestAnswer_FitsIntoAMessage(t *testing.T) {
	t.Parallel()
	st := role.NodeStatus{Roles: []role.Status{
		{Name: "small", Processes: make([]role.Process, 1)}, {Name: "large", Processes: make([]role.Process, 100)},
	}}
	data, err := node.Answer(st, 2000)
	var got role.NodeStatus
	if err != nil || len(data) > 2000 || json.Unmarshal(data, &got) != nil {
		t.Fatal(len(data), err)
	}
	if len(got.Roles[0].Processes) != 1 || len(got.Roles[1].Processes) != 0 {
		t.Errorf("got %+v", got)
	}
}
