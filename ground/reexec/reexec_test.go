//go:build linux || darwin

package reexec_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

const roleEnv = "REEXEC_TEST_ROLE"

// roles are programs that the test binary becomes.
var roles = map[string]func() error{
	"again":   again,
	"fail":    fail,
	"signals": signals,
	"nobody":  nobody,
	"main":    mainThread,
}

func init() {
	if os.Getenv(roleEnv) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	role := roles[os.Getenv(roleEnv)]
	if role == nil {
		os.Exit(m.Run())
	}
	time.AfterFunc(time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
	os.Exit(reexec.Main(func() int {
		if err := role(); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}))
}

// start starts a role and returns it with what it prints.
func start(t *testing.T, role string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	return startWith(t, nil, role, args...)
}

func startWith(t *testing.T, stdin *os.File, role string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func read(t *testing.T, out *bufio.Scanner) string {
	t.Helper()
	if !out.Scan() {
		t.Fatal("the program has ended")
	}
	return out.Text()
}

// world is the state of the role again.
type world struct {
	Round, Listener, Other int
	Text                   string
}

// again is replaced by itself as often as its first argument says and says each time what it is.
// At last it answers one connection.
func again() error {
	in, err := reexec.Received()
	if err != nil {
		return err
	}
	var w world
	var l net.Listener
	if in == nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	} else {
		if err := in.State(&w); err != nil {
			return err
		}
		f, err := in.File(w.Listener)
		if err != nil {
			return err
		}
		if same, err := in.File(w.Listener); same != f || err != nil {
			return fmt.Errorf("got %v and %v for one file: %v", f, same, err)
		}
		if l, err = net.FileListener(f); err != nil {
			return err
		}
		f.Close()
		in.Done()
	}
	defer l.Close()
	left, _ := os.LookupEnv(reexec.Env)
	fmt.Println(w.Round, os.Getpid(), l.Addr(), descriptors(), len(w.Text), left)
	if rounds, _ := strconv.Atoi(os.Args[1]); w.Round == rounds {
		return answer(l)
	}
	var out reexec.Out
	w.Round++
	w.Text += strings.Repeat("x", 1000)
	if w.Listener, err = out.Add(l.(*net.TCPListener)); err != nil {
		return err
	}
	r, other, err := os.Pipe() // nobody will ask for it
	if err != nil {
		return err
	}
	defer r.Close()
	if w.Other, err = out.Add(other); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return reexec.Exec(exe, os.Args, w, &out)
}

func answer(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = fmt.Fprintln(c, "hello")
	return err
}

func descriptors() int {
	entries, _ := os.ReadDir("/dev/fd")
	return len(entries)
}

func TestExec_TheSameProcessGoesOnWithItsFilesAndState(t *testing.T) {
	cmd, out := start(t, "again", "50")
	addr, files := "", 0
	for i := range 51 {
		f := strings.Fields(read(t, out))
		if len(f) != 5 {
			t.Fatalf("got %q", f)
		}
		n, _ := strconv.Atoi(f[3])
		switch i {
		case 0:
			addr = f[2]
		case 1: // the first has files of whoever started it, too
			files = n
		default:
			if n > files+2 { // the runtime may be looking at the machine
				t.Errorf("got %d open files after %d programs, %d after one", n, i, files)
			}
		}
		want := []string{strconv.Itoa(i), strconv.Itoa(cmd.Process.Pid), addr, f[3], strconv.Itoa(1000 * i)}
		if !slices.Equal(f, want) {
			t.Fatalf("got %q, want %q", f, want)
		}
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); string(got) != "hello\n" || err != nil {
		t.Errorf("got %q and %v from the socket that went through 50 programs", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// fail tries executables that are none, and shows that nothing has changed then.
func fail() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	var out reexec.Out
	fd, err := out.Add(r)
	if err != nil {
		return err
	}
	for _, path := range os.Args[1:] {
		err := reexec.Exec(path, os.Args, "state", &out)
		flags, ferr := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		fmt.Println(fault.KindOf(err), flags == unix.FD_CLOEXEC, ferr == nil)
	}
	hangups := make(chan os.Signal, 1)
	defer reexec.Notify(hangups, unix.SIGHUP)()
	unix.Kill(os.Getpid(), unix.SIGHUP)
	fmt.Println(<-hangups)
	w.WriteString("open")
	w.Close()
	text, err := io.ReadAll(r)
	fmt.Println(string(text), err)
	fmt.Println(reexec.Exec("/bin/true", nil, make(chan int), nil))
	return nil
}

func TestExec_AFailureChangesNothing(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, out := start(t, "fail", filepath.Join(dir, "missing"), dir, text, "/dev/null")
	for _, kind := range []fault.Kind{fault.NotFound, fault.Denied, fault.Invalid, fault.Denied} {
		got := read(t, out)
		if want := fmt.Sprint(kind, " true true"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, want := range []string{"hangup", "open <nil>"} {
		if got := read(t, out); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := read(t, out), "write state"; !strings.Contains(got, want) {
		t.Errorf("got %q, want something with %q", got, want)
	}
}

// signals is replaced once; the second program is slow to look after signals.
func signals() error {
	in, err := reexec.Received()
	if err != nil {
		return err
	}
	if in == nil {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		return reexec.Exec(exe, os.Args, nil, nil)
	}
	fmt.Println("started")
	bufio.NewReader(os.Stdin).ReadString('\n')
	if len(os.Args) > 1 { // it does not look after signals at all
		in.Done()
		select {}
	}
	got := make(chan os.Signal, 8)
	stop := reexec.Notify(got, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGUSR2)
	in.Done()
	in.Done()
	for range 4 {
		fmt.Println(<-got)
	}
	unix.Kill(os.Getpid(), unix.SIGTERM)
	fmt.Println("again", <-got)
	stop()
	fmt.Println("stopped", len(got))
	select {}
}

// startSignals returns the role signals once its second program runs, and what lets that go on.
func startSignals(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner, func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	cmd, out := startWith(t, r, "signals", args...)
	r.Close()
	if got := read(t, out); got != "started" {
		t.Fatalf("got %q", got)
	}
	return cmd, out, func() { io.WriteString(w, "go on\n") }
}

func TestNotify_SignalsWaitForTheNewProgram(t *testing.T) {
	cmd, out, goOn := startSignals(t)
	seen := map[string]bool{}
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGUSR2} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		seen[s.String()] = false
	}
	goOn()
	for range 4 {
		seen[read(t, out)] = true
	}
	for s, ok := range seen {
		if !ok {
			t.Errorf("the new program did not get %s", s)
		}
	}
	for _, want := range []string{"again terminated", "stopped 0"} {
		if got := read(t, out); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	cmd.Process.Signal(unix.SIGTERM)
	endsByTERM(t, cmd)
}

func endsByTERM(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Wait()
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
		t.Errorf("got %v, want an end by SIGTERM", cmd.ProcessState)
	}
}

func TestDone_SignalsThatNobodyWantsDoTheirWork(t *testing.T) {
	cmd, _, goOn := startSignals(t, "careless")
	cmd.Process.Signal(unix.SIGTERM)
	goOn()
	endsByTERM(t, cmd)
}

// nobody has a broken note in its environment, and ends by a signal all the same.
func nobody() error {
	_, err := reexec.Received()
	fmt.Println(fault.KindOf(err))
	select {}
}

func TestReceived_ABrokenNoteLeavesSignalsAlone(t *testing.T) {
	t.Setenv(reexec.Env, "77")
	cmd, out := start(t, "nobody")
	if got := read(t, out); got != fault.Invalid.String() {
		t.Errorf("got %q", got)
	}
	cmd.Process.Signal(unix.SIGTERM)
	endsByTERM(t, cmd)
}

func TestReceived_TakesOnlyWhatIsForThisProcess(t *testing.T) {
	file := func(text string) int {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	defer unix.Close(pipe[0])
	pid := os.Getpid()
	for name, value := range map[string]string{
		"no number":          "x",
		"standard input":     "0",
		"nothing":            "900",
		"a pipe":             strconv.Itoa(pipe[0]),
		"no JSON":            strconv.Itoa(file("hello")),
		"another process":    strconv.Itoa(file(`{"pid":1,"files":[],"state":null}`)),
		"standard output":    strconv.Itoa(file(fmt.Sprintf(`{"pid":%d,"files":[1],"state":null}`, pid))),
		"a file that is not": strconv.Itoa(file(fmt.Sprintf(`{"pid":%d,"files":[901],"state":null}`, pid))),
	} {
		t.Setenv(reexec.Env, value)
		if in, err := reexec.Received(); in != nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v and %v", name, in, err)
		}
		if _, ok := os.LookupEnv(reexec.Env); ok {
			t.Errorf("%s: a child could find the variable too", name)
		}
	}
	if in, err := reexec.Received(); in != nil || err != nil {
		t.Errorf("got %v and %v, want nothing", in, err)
	}
	t.Setenv(reexec.Env, strconv.Itoa(file(fmt.Sprintf(`{"pid":%d,"files":[],"state":"here"}`, pid))))
	in, err := reexec.Received()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := in.State(&text); text != "here" || err != nil {
		t.Errorf("got %q and %v", text, err)
	}
	if err := in.State(new(int)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want a state that does not fit refused", err)
	}
	if _, err := in.File(5); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want no file", err)
	}
}

// mainThread says on which thread its functions run.
func mainThread() error {
	for range 3 {
		var on int
		ok := reexec.OnMain(func() { on = threadID() })
		fmt.Println(ok, on == os.Getpid())
	}
	return nil
}

func TestMain_KeepsTheMainThread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("threads have numbers of their own elsewhere")
	}
	_, out := start(t, "main")
	for range 3 {
		if got := read(t, out); got != "true true" {
			t.Errorf("got %q", got)
		}
	}
}

func TestExec_NeedsMain(t *testing.T) {
	if reexec.OnMain(func() { t.Error("called") }) {
		t.Error("there is a main thread without Main")
	}
	err := reexec.Exec("/bin/true", []string{"true"}, nil, nil)
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "reexec.Main") {
		t.Errorf("got %v", err)
	}
}

func TestOut_RefusesWhatIsClosed(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	var out reexec.Out
	if _, err := out.Add(f); err != nil {
		t.Error(err)
	}
	f.Close()
	if _, err := out.Add(f); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}
