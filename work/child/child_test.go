package child

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// program is a host whose functions echo and hold.
type program struct {
	fail   error
	joined chan struct{}
	left   chan struct{} // Join returned
}

func newProgram() *program {
	return &program{joined: make(chan struct{}), left: make(chan struct{})}
}

func (p *program) Open(context.Context, control.Start) (engine.Engine, error) {
	if p.fail != nil {
		return nil, p.fail
	}
	fn := func(name string, f func(context.Context, []byte) error) *native.Func {
		return &native.Func{Export: bundle.Export{Name: name}, Call: func(ctx context.Context, _ engine.Format, in, dst []byte) ([]byte, error) {
			err := f(ctx, in)
			return append(dst, in...), err
		}}
	}
	return native.New([]*native.Func{
		fn("echo", func(context.Context, []byte) error { return nil }),
		fn("hold", func(ctx context.Context, _ []byte) error { <-ctx.Done(); return ctx.Err() }),
	}), nil
}

func (p *program) Join(ctx context.Context, _ control.Start, _ *worker.Worker, ready func(worker.Values)) error {
	close(p.joined)
	<-ctx.Done()
	close(p.left)
	return ctx.Err()
}

// node is the other end of the inherited line.
type node struct {
	t     *testing.T
	raw   net.Conn
	conn  *line.Conn
	ended chan error
	heard chan control.FromChild
}

func birth(t *testing.T, h Host) *node {
	near, far := net.Pipe()
	n := &node{t: t, raw: near, conn: line.New(near, nil), ended: make(chan error, 1), heard: make(chan control.FromChild, 100)}
	go func() {
		c := &child{host: h, node: line.New(far, nil)}
		err := c.run()
		c.node.Close()
		n.ended <- err
	}()
	go func() {
		for {
			f, err := n.conn.Receive()
			if err != nil {
				return
			}
			var m control.FromChild
			if err := json.Unmarshal(f, &m); err != nil {
				t.Errorf("the child says %q", f)
			}
			n.heard <- m
		}
	}()
	t.Cleanup(func() { near.Close() })
	return n
}

func (n *node) tell(m control.ToChild) {
	data, err := json.Marshal(m)
	if err != nil {
		n.t.Fatal(err)
	}
	n.conn.Send(data)
}

// hear waits for a message that is no stats.
func (n *node) hear() control.FromChild {
	n.t.Helper()
	for {
		select {
		case m := <-n.heard:
			if m.Stats == nil {
				return m
			}
		case <-time.After(20 * time.Second):
			n.t.Fatal("the child says nothing")
		}
	}
}

func (n *node) end() error {
	n.t.Helper()
	select {
	case err := <-n.ended:
		return err
	case <-time.After(20 * time.Second):
		n.t.Fatal("the child does not leave")
		return nil
	}
}

var token = []byte("the token of these tests")

func start(t *testing.T) control.Start {
	// Not t.TempDir: the path of a socket must be short.
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return control.Start{Worker: "w", Slots: 2, Unix: filepath.Join(dir, "s"), Token: token, GraceMS: 1000}
}

func dial(t *testing.T, path string, token []byte) (*line.Conn, error) {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return line.Client(t.Context(), nc, token, nil)
}

func send(c *line.Conn, id uint64, function, in string) error {
	f := task.AppendPack(nil, &task.Pack{ID: id, Function: function, Format: engine.CBOR, Count: 1})
	return c.Send(task.AppendValue(f, task.Value{Data: []byte(in)}))
}

// answer waits for the outcome of a pack of one.
func answer(t *testing.T, c *line.Conn) task.Outcome {
	t.Helper()
	for {
		f, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if o, err := task.DecodeOutcomes(f); err == nil {
			out, _, err := task.NextOutcome(o.Items)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
}

func TestChild_BecomesWhatTheNodeSaysAndLeavesWithIt(t *testing.T) {
	p, s := newProgram(), start(t)
	n := birth(t, p)
	n.tell(control.ToChild{Start: &s})
	ready := n.hear().Ready
	if ready == nil || ready.PID != os.Getpid() || ready.Slots != 2 || ready.Unix != s.Unix {
		t.Fatalf("ready: %+v", ready)
	}
	if info, err := os.Stat(s.Unix); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v; want it to be ours alone", info.Mode(), err)
	}
	c, err := dial(t, s.Unix, token)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if send(c, 1, "echo", "x"); string(answer(t, c).Value) != "x" {
		t.Error("no echo")
	}
	send(c, 2, "hold", "x")
	<-p.joined
	n.raw.Close() // the node is gone
	if err := n.end(); err != nil {
		t.Error(err)
	}
	<-p.left
	for { // and its lines with it
		if _, err := c.Receive(); err != nil {
			break
		}
	}
}

func TestChild_RefusesPeersThatProveNothing(t *testing.T) {
	s := start(t)
	n := birth(t, newProgram())
	n.tell(control.ToChild{Start: &s})
	n.hear()
	if _, err := dial(t, s.Unix, []byte("wrong")); fault.KindOf(err) != fault.Denied {
		t.Errorf("a wrong token: %v, want denied", err)
	}
	var silent []net.Conn
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", strings.Repeat("\xff", 4096)} {
		nc, err := net.Dial("unix", s.Unix)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go io.WriteString(nc, text)
		silent = append(silent, nc)
	}
	c, err := dial(t, s.Unix, token) // nobody else is kept waiting
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if send(c, 1, "echo", "x"); string(answer(t, c).Value) != "x" {
		t.Error("no echo")
	}
	for _, nc := range silent[1:] {
		nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a peer that speaks something else is not hung up on")
		}
	}
}

func TestChild_DrainFinishesThenLeaves(t *testing.T) {
	p, s := newProgram(), start(t)
	n := birth(t, p)
	n.tell(control.ToChild{Start: &s})
	n.hear()
	c, err := dial(t, s.Unix, token)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(c, 1, "hold", "x")
	send(c, 2, "echo", "y") // answered: the first one runs
	if string(answer(t, c).Value) != "y" {
		t.Error("no echo")
	}
	n.tell(control.ToChild{})                                        // nothing is said
	n.tell(control.ToChild{Drain: &control.Drain{WithinMS: 60_000}}) // while a task runs
	<-p.left
	select {
	case err := <-n.ended:
		t.Fatalf("it left before its task ended: %v", err)
	default:
	}
	c.Send(task.AppendCancel(nil, 1, 0))
	if o := answer(t, c); fault.KindOf(o.Err) != fault.Canceled {
		t.Errorf("got %v", o.Err)
	}
	if err := n.end(); err != nil {
		t.Error(err)
	}
}

func TestChild_SaysWhyItCannot(t *testing.T) {
	for name, c := range map[string]struct {
		fail error
		edit func(*control.Start)
		text string
	}{
		"no engine":      {errors.New("no such engine"), func(*control.Start) {}, "no such engine"},
		"no folder":      {nil, func(s *control.Start) { s.Unix = "/nowhere/at/all/s" }, "/nowhere"},
		"no certificate": {nil, func(s *control.Start) { s.TCP, s.CertPEM = "127.0.0.1:0", []byte("garbage") }, "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := newProgram(), start(t)
			p.fail = c.fail
			c.edit(&s)
			n := birth(t, p)
			n.tell(control.ToChild{Start: &s})
			if m := n.hear(); m.Failed == nil || !strings.Contains(m.Failed.Reason, c.text) {
				t.Errorf("it says %+v", m)
			}
			if err := n.end(); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestChild_RefusesAFirstMessageThatIsNoStart(t *testing.T) {
	frame := func(s string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "half a header": {0, 0}, "an oversize frame": {0xff, 0, 0, 0, 'x'},
		"an empty frame": frame(""), "garbage": frame("garbage"), "null": frame("null"), "a drain": frame(`{"drain":{"within_ms":1}}`),
		"a wrong type": frame(`{"start":{"slots":"many"}}`), "a list": frame("[1]"), "half a start": frame(`{"start":{`),
	} {
		n := birth(t, newProgram())
		go func() {
			n.raw.Write(raw)
			n.raw.Close()
		}()
		if err := n.end(); err == nil {
			t.Errorf("%s: it became something", name)
		}
	}
}

func TestChild_LeavesWhenTheNodeSpeaksNonsense(t *testing.T) {
	s := start(t)
	n := birth(t, newProgram())
	n.tell(control.ToChild{Start: &s})
	n.hear()
	n.conn.Send([]byte("nonsense"))
	n.end()
}

func TestChild_AsksToBeKilledWhenItsMemoryIsOverTheLimit(t *testing.T) {
	defer debug.SetMemoryLimit(math.MaxInt64)
	s := start(t)
	ballast := bytes.Repeat([]byte("x"), 8<<20)
	s.Memory = 4 << 20
	n := birth(t, newProgram())
	n.tell(control.ToChild{Start: &s})
	for {
		if m := n.hear(); m.Leave != nil {
			if !strings.Contains(m.Leave.Reason, "memory above its limit of 4 MiB") {
				t.Errorf("it says %q", m.Leave.Reason)
			}
			break
		}
	}
	runtime.KeepAlive(ballast)
}

func TestLateValues_WaitForTheirStore(t *testing.T) {
	v := lateValues{ready: make(chan struct{})}
	over, stop := context.WithCancel(t.Context())
	stop()
	if _, err := v.Load(over, "x"); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
	if _, err := v.Store(over, nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
	got := make(chan string)
	go func() {
		name, _ := v.Store(t.Context(), nil)
		got <- name
	}()
	v.set(fixed{})
	if name := <-got; name != "name" {
		t.Errorf("got %q", name)
	}
}

type fixed struct{}

func (fixed) Load(context.Context, string) ([]byte, error)  { return nil, nil }
func (fixed) Store(context.Context, []byte) (string, error) { return "name", nil }

func TestRun_NeedsAnInheritedLine(t *testing.T) {
	for _, fd := range []string{"x", "-1", "99999"} {
		t.Setenv(control.Env, fd)
		if !Wanted() {
			t.Error("not wanted")
		}
		if err := Run(newProgram()); err == nil {
			t.Errorf("descriptor %q is accepted", fd)
		}
	}
}

// FuzzFirstMessage says anything to a child: it leaves with an error.
func FuzzFirstMessage(f *testing.F) {
	for _, s := range []string{
		`{"start":{"worker":"w","slots":-1,"unix":"","tcp":"","token":"eA==","grace_ms":-5,"memory":-1}}`,
		`{"start":{"slots":9223372036854775807,"grace_ms":9223372036854775807}}`, `{"drain":{}}`, `null`, ``, `{"start":null}`, `{"start":{"token":"!"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, first []byte) {
		n := birth(t, &program{fail: errors.New("nothing")})
		n.conn.Send(first)
		n.raw.SetWriteDeadline(time.Now().Add(time.Second))
		if err := n.end(); err == nil {
			t.Error("it became something")
		}
	})
}
