//go:build linux || darwin

package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

const helperEnv = "BECOME_PROCESS_HELPER"

// helpers are what the test binary does when it is started as a child.
var helpers = map[string]func(args []string){
	"exit":   func(args []string) { n, _ := strconv.Atoi(args[0]); os.Exit(n) },
	"say":    func(args []string) { fmt.Println(args[0]); fmt.Fprintln(os.Stderr, args[1]) },
	"env":    func([]string) { fmt.Println(len(os.Environ())) },
	"stay":   func([]string) { fmt.Println("here"); select {} },
	"polite": politeHelper,
	"rude":   func([]string) { signal.Ignore(syscall.SIGTERM); fmt.Println("here"); select {} },
	"flood": func([]string) {
		for {
			fmt.Println(strings.Repeat("flood ", 100))
		}
	},
	"family": familyHelper,
	"escape": escapeHelper,
	"echo":   echoHelper,
	"accept": acceptHelper,
	"parent": parentHelper,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		time.AfterFunc(time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
		helpers[name](os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func politeHelper([]string) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	fmt.Println("here")
	<-ch
	os.Exit(7)
}

// familyHelper has three children of its own that ignore SIGTERM, and tells their ids.
func familyHelper(args []string) {
	for range 3 {
		child, pid := grandchild("rude", nil)
		fmt.Println(pid)
		_ = child
	}
	fmt.Println("done")
	if args[0] == "leave" {
		return
	}
	signal.Ignore(syscall.SIGTERM)
	select {}
}

// escapeHelper leaves a process behind that left the group and holds its output.
func escapeHelper([]string) {
	_, pid := grandchild("stay", &syscall.SysProcAttr{Setsid: true})
	fmt.Println(pid)
}

func grandchild(name string, attr *syscall.SysProcAttr) (*exec.Cmd, int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = helperEnviron(name)
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n') // it ignores signals from here on
	must(err)
	return cmd, cmd.Process.Pid
}

func echoHelper([]string) {
	conn, err := process.Inherited(3)
	must(err)
	io.Copy(conn, conn)
}

func acceptHelper([]string) {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	must(err)
	conn, err := l.Accept()
	must(err)
	fmt.Fprintln(conn, "hello from", os.Getpid())
	conn.Close()
}

// parentHelper starts a child that holds descriptor 3 and waits to be killed.
func parentHelper([]string) {
	p, err := process.Start(context.Background(), process.Spec{
		Path: os.Args[0], Env: helperEnviron("stay"),
		Stdout: os.Stdout, ExtraFiles: []*os.File{os.NewFile(3, "life")},
	})
	must(err)
	<-p.Done()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(98)
	}
}

// helperEnviron also spares a child under the race detector its second of sleep
// before it exits.
func helperEnviron(name string) []string {
	return []string{helperEnv + "=" + name, "GORACE=atexit_sleep_ms=0"}
}

// helper returns a spec that runs the test binary as the named helper.
func helper(t *testing.T, name string, args ...string) process.Spec {
	t.Helper()
	if helpers[name] == nil {
		t.Fatalf("no helper %q", name)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.Spec{Path: path, Args: args, Env: helperEnviron(name), Stderr: os.Stderr}
}

func start(t *testing.T, spec process.Spec) *process.Process {
	t.Helper()
	p, err := process.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if c := p.Control(); c != nil {
			c.Close()
		}
	})
	return p
}

// wait waits for the end, a minute at most.
func wait(t *testing.T, p *process.Process) process.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exit, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

// lines is a writer that hands out what it got line by line.
type lines struct {
	*io.PipeWriter
	r *bufio.Reader
}

func newLines() lines {
	r, w := io.Pipe()
	return lines{w, bufio.NewReader(r)}
}

func (l lines) next(t *testing.T) string {
	t.Helper()
	s, err := l.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

func (l lines) pid(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(l.next(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestProcess_TellsHowItEnded(t *testing.T) {
	if got, want := wait(t, start(t, helper(t, "exit", "0"))), (process.Exit{Reason: "exit status 0"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := wait(t, start(t, helper(t, "exit", "42"))), (process.Exit{Code: 42, Reason: "exit status 42"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	p := start(t, helper(t, "stay"))
	if got := p.Exit(); got != (process.Exit{}) {
		t.Errorf("exit of a running process: got %v, want zero", got)
	}
	unix.Kill(p.PID(), unix.SIGSEGV)
	// The Go runtime turns a sent SIGSEGV into a panic of its own, or dies of it.
	if got := wait(t, p); got.Code == 0 {
		t.Errorf("got %v, want a failure", got)
	}
	p = start(t, helper(t, "stay"))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	want := process.Exit{Code: -1, Signal: "SIGKILL", Reason: "killed by SIGKILL"}
	if got := wait(t, p); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestProcess_HandsOverAllOutputBeforeDone(t *testing.T) {
	for range 20 {
		var out, errs buffer
		spec := helper(t, "say", "to stdout", "to stderr")
		spec.Stdout, spec.Stderr = &out, &errs
		wait(t, start(t, spec))
		if out.String() != "to stdout\n" || errs.String() != "to stderr\n" {
			t.Fatalf("got %q and %q", out.String(), errs.String())
		}
	}
}

func TestProcess_InheritsNoEnvironment(t *testing.T) {
	t.Setenv("SECRET", "s3cr3t")
	var out buffer
	spec := helper(t, "env")
	spec.Stdout = &out
	wait(t, start(t, spec))
	if out.String() != "2\n" {
		t.Errorf("got %q variables, want 2", out.String())
	}
}

func TestProcess_InheritsNoDescriptors(t *testing.T) {
	var out buffer
	p := start(t, process.Spec{
		Path: "/bin/sh", Stdout: &out, Control: true,
		Args: []string{"-c", `for n in 3 4 5 6 7 8 9; do if (: <&$n) 2>/dev/null; then echo $n; fi; done`},
	})
	wait(t, p)
	if out.String() != "3\n" {
		t.Errorf("got descriptors %q, want 3 only", out.String())
	}
}

func TestKill_TakesTheWholeGroup(t *testing.T) {
	out := newLines()
	spec := helper(t, "family", "stay")
	spec.Stdout = out
	p := start(t, spec)
	var family []int
	for range 3 {
		family = append(family, out.pid(t))
	}
	out.next(t)
	if err := p.Terminate(0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(-p.PID(), 0); err == nil {
		t.Log("zombies of the group are left to their new parent")
	}
	for _, pid := range family {
		if _, err := process.StartTime(pid); fault.KindOf(err) != fault.NotFound {
			t.Errorf("grandchild %d still runs: %v", pid, err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
}

func TestProcess_TakesItsGroupAlongWhenItLeaves(t *testing.T) {
	out := newLines()
	spec := helper(t, "family", "leave")
	spec.Stdout = out
	p := start(t, spec)
	var family []int
	for range 3 {
		family = append(family, out.pid(t))
	}
	out.next(t)
	if got := wait(t, p); got.Code != 0 {
		t.Errorf("got %v, want a clean exit", got)
	}
	if err := p.Kill(); err != nil { // the proof
		t.Fatal(err)
	}
	for _, pid := range family {
		if _, err := process.StartTime(pid); fault.KindOf(err) != fault.NotFound {
			t.Errorf("grandchild %d still runs: %v", pid, err)
		}
	}
}

func TestProcess_IsDoneThoughAnEscapedProcessHoldsItsOutput(t *testing.T) {
	out := newLines()
	spec := helper(t, "escape")
	spec.Stdout, spec.Stderr = out, &buffer{} // the escaped one holds stderr
	p := start(t, spec)
	escaped := out.pid(t)
	defer unix.Kill(escaped, unix.SIGKILL)
	wait(t, p)
	if _, err := process.StartTime(escaped); err != nil {
		t.Errorf("the escaped process should run still: %v", err)
	}
}

func TestTerminate_IsPoliteFirst(t *testing.T) {
	for name, want := range map[string]process.Exit{
		"polite": {Code: 7, Reason: "exit status 7"},
		"rude":   {Code: -1, Signal: "SIGKILL", Reason: "killed by SIGKILL"},
	} {
		grace := time.Minute
		if name == "rude" {
			grace = 20 * time.Millisecond
		}
		out := newLines()
		spec := helper(t, name)
		spec.Stdout = out
		p := start(t, spec)
		out.next(t)
		if err := p.Terminate(grace); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, p); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestKill_EndsAFlood(t *testing.T) {
	spec := helper(t, "flood")
	var got atLeast
	got.reached = make(chan struct{})
	spec.Stdout = &got
	p := start(t, spec)
	<-got.reached
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
}

type atLeast struct {
	n       int
	reached chan struct{}
}

func (a *atLeast) Write(p []byte) (int, error) {
	if a.n < 1<<20 && a.n+len(p) >= 1<<20 {
		close(a.reached)
	}
	a.n += len(p)
	return len(p), nil
}

// broken fails once and counts how often it was called.
type broken struct {
	calls int
	first chan struct{}
}

func (b *broken) Write([]byte) (int, error) {
	if b.calls++; b.calls == 1 {
		close(b.first)
	}
	return 0, errors.New("disk full")
}

func TestProcess_LivesOnWhenItsLogIsBroken(t *testing.T) {
	spec := helper(t, "flood")
	b := &broken{first: make(chan struct{})}
	spec.Stdout = b
	p := start(t, spec)
	<-b.first
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	if b.calls != 1 || p.Exit().Signal != "SIGKILL" {
		t.Errorf("got %d calls and %v, want one call and a kill", b.calls, p.Exit())
	}
}

func TestControl_CarriesBytesAndDeath(t *testing.T) {
	spec := helper(t, "echo")
	spec.Control = true
	p := start(t, spec)
	echo(t, p)
	p.Control().Close() // the child sees the end and leaves
	if got := wait(t, p); got.Code != 0 {
		t.Errorf("got %v, want a clean exit", got)
	}

	p = start(t, spec)
	echo(t, p)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Control().Read(make([]byte, 1)); err == nil {
		t.Error("reading from a dead child: got no error")
	}
}

func echo(t *testing.T, p *process.Process) {
	t.Helper()
	if _, err := io.WriteString(p.Control(), "ping"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(p.Control(), b); err != nil || string(b) != "ping" {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestControl_ObeysDeadlines(t *testing.T) {
	parent, child, err := process.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	defer child.Close()
	parent.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := parent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline: the connection is not in the poller", err)
	}
}

func TestInherited_RefusesWhatIsNoSocket(t *testing.T) {
	if _, err := process.Inherited(987); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want not found", err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := process.Inherited(int(f.Fd())); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestStdio_IsGivenAsItIs(t *testing.T) {
	ours, theirs, err := process.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	var errs buffer
	p := start(t, process.Spec{
		Path: "/bin/sh", Args: []string{"-c", `read word; echo "$word back"; echo aside >&2`},
		Stdio: [3]*os.File{theirs, theirs, nil}, Stderr: &errs,
	})
	theirs.Close()
	io.WriteString(ours, "there and\n")
	got, err := io.ReadAll(ours) // ends when the child does
	if string(got) != "there and back\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	wait(t, p)
	if errs.String() != "aside\n" {
		t.Errorf("got %q on standard error", errs.String())
	}
}

func TestExtraFiles_LeaveTheListenerNonBlocking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec := helper(t, "accept")
	spec.ExtraFiles = []*os.File{f}
	p := start(t, spec)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if want := fmt.Sprintln("hello from", p.PID()); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	accepting := make(chan error, 1)
	go func() { _, err := l.Accept(); accepting <- err }()
	l.Close() // hangs if the description has become blocking
	if err := <-accepting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want closed", err)
	}
}

func TestStart_SaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		path string
		want fault.Kind
	}{
		{"no path", t.Context(), "", fault.Invalid},
		{"missing", t.Context(), filepath.Join(dir, "missing"), fault.NotFound},
		{"not executable", t.Context(), plain, fault.Denied},
		{"canceled", canceled, "/bin/sh", fault.Canceled},
	} {
		p, err := process.Start(c.ctx, process.Spec{Path: c.path, Control: true, Stdout: io.Discard})
		if p != nil || fault.KindOf(err) != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.name, p, err, c.want)
		}
	}
}

func TestStart_WaitsForAnExecutableStillOpenForWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sh")
	code, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(code); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { f.Close() })
	p := start(t, process.Spec{Path: path, Args: []string{"-c", "exit 5"}})
	if got := wait(t, p); got.Code != 5 {
		t.Errorf("got %v, want 5", got)
	}
}

func TestConfine_IsObeyedOrRefused(t *testing.T) {
	spec := helper(t, "exit", "4")
	spec.Confine.Limits.OpenFiles = 99
	if !confine.Supported {
		if _, err := process.Start(t.Context(), spec); fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, want invalid", err)
		}
		return
	}
	p := start(t, spec)
	if got := wait(t, p); got.Code != 4 || len(p.Held()) != 1 || p.Held()[0] != "99 open files" {
		t.Errorf("got %v, held by %q", got, p.Held())
	}
}

func TestProcess_OutlivesTheThreadThatStartedIt(t *testing.T) {
	spec := helper(t, "echo")
	spec.Control = true
	started := make(chan *process.Process)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err := process.Start(t.Context(), spec)
		if err != nil {
			t.Error(err)
		}
		started <- p
	}()
	p := <-started
	defer p.Control().Close()
	defer p.Kill()
	for range 100 {
		echo(t, p)
		runtime.Gosched()
	}
}

func TestProcess_DiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kill at the parent's death needs Linux")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := newLines()
	spec := helper(t, "parent")
	spec.Stdout, spec.ExtraFiles = out, []*os.File{w}
	p := start(t, spec)
	w.Close()
	out.next(t) // printed by the grandchild
	// Not Kill: the grandchild is a group of its own, only the kernel ends it.
	unix.Kill(p.PID(), unix.SIGKILL)
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v, want the end", n, err)
	}
}

func TestUsage_SeesARunningProcess(t *testing.T) {
	rss, _, err := process.Usage(os.Getpid())
	if err != nil || rss < 1<<20 {
		t.Errorf("got %d bytes, %v", rss, err)
	}
	p := start(t, helper(t, "stay"))
	began, err := process.StartTime(p.PID())
	if err != nil || !process.Alive(p.PID(), began) || process.Alive(p.PID(), began+"0") {
		t.Errorf("got start time %q, %v", began, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := process.Usage(p.PID()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want not found", err)
	}
	if process.Alive(p.PID(), began) {
		t.Error("a killed process is alive")
	}
}

func TestStart_LeaksNothing(t *testing.T) {
	round := func() {
		spec := helper(t, "exit", "0")
		spec.Path, spec.Args = "/bin/sh", []string{"-c", "echo hello"}
		spec.Control, spec.Stdout = true, io.Discard
		p, err := process.Start(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		wait(t, p)
		p.Control().Close()
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := process.Start(t.Context(), process.Spec{Path: "/missing", Control: true, Stdout: io.Discard}); err == nil {
			t.Fatal("started nothing")
		}
	}
	round()
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 200 {
		round()
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		runtime.Gosched()
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("got %d goroutines, want %d", got, goroutines)
	}
	if got := descriptors(t); got > fds {
		t.Errorf("got %d descriptors, want %d", got, fds)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func ExampleStart() {
	p, err := process.Start(context.Background(), process.Spec{
		Path: "/bin/sh", Args: []string{"-c", "echo hello; exit 3"}, Stdout: os.Stdout,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Kill()
	<-p.Done()
	fmt.Println(p.Exit().Reason)
	// Output:
	// hello
	// exit status 3
}
