package confine_test

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
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

// helperEnv makes the test binary a process that does one of the following.
const helperEnv = "CONFINE_TEST_HELPER"

var helpers = map[string]func(args []string){
	// threads prints a line of /proc/self/task/*/status, of several threads at work.
	"threads": func(args []string) {
		for range 4 {
			go func() { runtime.LockOSThread(); select {} }()
		}
		for tasks := 0; tasks < 6; {
			all, _ := filepath.Glob("/proc/self/task/*/status")
			tasks = len(all)
			for _, path := range all {
				b, _ := os.ReadFile(path)
				for line := range strings.Lines(string(b)) {
					if strings.HasPrefix(line, args[0]) {
						fmt.Print(line)
					}
				}
			}
		}
	},
	"euid": func([]string) { fmt.Println(os.Geteuid()) },
	"argv": func(args []string) { fmt.Printf("%q %q\n", os.Args, os.Environ()) },
	"stay": func([]string) { fmt.Println("here"); select {} },
	"spin": func([]string) {
		for n := 0; n >= 0; n = (n + 1) & 0xff {
		}
	},
	// files tries what its arguments say and prints the error of each.
	"files": func(args []string) {
		for _, arg := range args {
			how, what, _ := strings.Cut(arg, " ")
			fmt.Println(arg+":", reason(try(how, what)))
		}
	},
	"run":    func(args []string) { run(args) },
	"parent": func([]string) { parent() },
	"descriptors": func([]string) {
		all, _ := os.ReadDir("/proc/self/fd")
		for _, e := range all {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
				fmt.Print(e.Name(), " ")
			}
		}
		fmt.Println()
	},
	"fill": func(args []string) {
		n, _ := strconv.Atoi(args[0])
		for range n {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
		fmt.Println("filled")
		select {}
	},
}

var kept [][]byte

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		time.AfterFunc(time.Minute, func() { syscall.Exit(99) }) // never outlive a broken test for long
		helpers[name](os.Args[1:])
		syscall.Exit(0)
	}
	os.Exit(m.Run())
}

func try(how, what string) error {
	switch how {
	case "read":
		_, err := os.ReadFile(what)
		return err
	case "list":
		_, err := os.ReadDir(what)
		return err
	case "write":
		return os.WriteFile(what, []byte("new"), 0o600)
	case "truncate":
		return os.Truncate(what, 0)
	case "remove":
		return os.Remove(what)
	case "execute":
		return exec.Command(what).Run()
	case "bind":
		l, err := net.Listen("tcp", "127.0.0.1:"+what)
		if err == nil {
			l.Close()
		}
		return err
	case "multipath":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
		if err == nil {
			unix.Close(fd)
		}
		return err
	case "connect":
		c, err := net.Dial("tcp", "127.0.0.1:"+what)
		if err == nil {
			c.Close()
		}
		return err
	}
	return errors.New("nobody knows how to " + how)
}

func reason(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// run runs this binary once more, as a helper of its own.
func run(args []string) {
	cmd := exec.Command(args[0], args[2:]...)
	cmd.Env = []string{helperEnv + "=" + args[1]}
	out, err := cmd.Output()
	fmt.Printf("%s%s\n", out, reason(err))
}

// parent starts a confined process that stays, and stays too.
func parent() {
	spec := helperSpec("stay")
	spec.Confine.NoNewPrivileges, spec.Stdout, spec.ExtraFiles = true, os.Stdout, []*os.File{os.NewFile(3, "life")}
	p, err := process.Start(context.Background(), spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	<-p.Done()
}

func helperSpec(name string, args ...string) process.Spec {
	exe, _ := os.Executable()
	return process.Spec{Path: exe, Args: args, Env: []string{helperEnv + "=" + name, "GORACE=atexit_sleep_ms=0"}}
}

// output runs a helper under rules and returns what it prints.
func output(t *testing.T, rules confine.Rules, name string, args ...string) string {
	t.Helper()
	spec := helperSpec(name, args...)
	spec.Confine = rules
	return printed(t, spec)
}

func printed(t *testing.T, spec process.Spec) string {
	t.Helper()
	var out, errs bytes.Buffer
	spec.Stdout, spec.Stderr = &out, &errs
	p := start(t, spec)
	<-p.Done()
	if p.Exit().Code != 0 {
		t.Fatalf("%s, it says %s", p.Exit().Reason, &errs)
	}
	return out.String()
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
	})
	return p
}

// landlocked returns rules with Landlock, where the kernel has the version.
func landlocked(t *testing.T, l confine.Landlock) confine.Rules {
	t.Helper()
	rules := confine.Rules{Landlock: &l}
	if plan, err := confine.NewPlan(rules); err != nil {
		t.Skip(err)
	} else {
		plan.Close()
	}
	return rules
}

func TestConfined_ProcessIsLikeAnyOther(t *testing.T) {
	rules := confine.Rules{NoNewPrivileges: true}
	free := output(t, confine.Rules{}, "argv", "one", "", "two words")
	if got := output(t, rules, "argv", "one", "", "two words"); got != free {
		t.Errorf("got %s, want %s", got, free)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec := helperSpec("descriptors")
	spec.Control, spec.ExtraFiles = true, []*os.File{f, f}
	free = printed(t, spec)
	spec.Confine = rules
	if got := printed(t, spec); got != free || !strings.HasPrefix(got, "0 1 2 3 4 5 ") {
		t.Errorf("got descriptors %s, want %s", got, free)
	}
}

func TestNoNewPrivileges_HoldInEveryThread(t *testing.T) {
	for line := range strings.Lines(output(t, confine.Rules{NoNewPrivileges: true}, "threads", "NoNewPrivs:")) {
		if line != "NoNewPrivs:\t1\n" {
			t.Fatalf("got %q", line)
		}
	}
	if got := output(t, confine.Rules{Limits: confine.Limits{OpenFiles: 100}}, "threads", "NoNewPrivs:"); strings.Contains(got, "1\n") {
		t.Errorf("got %q, nobody asked for it", got)
	}
}

func TestNoNewPrivileges_ASetUserIDProgramStaysItsCallers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making a program of another user needs root")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	dir := filepath.Join(t.TempDir(), "open")
	path := filepath.Join(dir, "program")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, code, 0o700), os.Chown(path, nobody, nobody), os.Chmod(path, 0o755|os.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	if got := output(t, confine.Rules{}, "run", path, "euid"); !strings.HasPrefix(got, "65534\n") {
		t.Skipf("set-user-ID programs do not work here: %s", got)
	}
	if got := output(t, confine.Rules{NoNewPrivileges: true}, "run", path, "euid"); got != "0\nok\n" {
		t.Errorf("got %q", got)
	}
}

func TestLimits_AreTheProcesss(t *testing.T) {
	spec := helperSpec("stay")
	spec.Confine.Limits = confine.Limits{OpenFiles: 99, CPUSeconds: 77, CoreSize: -1}
	p := start(t, spec)
	for resource, want := range map[int]unix.Rlimit{
		unix.RLIMIT_NOFILE: {Cur: 99, Max: 99}, unix.RLIMIT_CPU: {Cur: 77, Max: 78}, unix.RLIMIT_CORE: {},
	} {
		var got unix.Rlimit
		if err := unix.Prlimit(p.PID(), resource, nil, &got); err != nil || got != want {
			t.Errorf("limit %d: got %v, %v, want %v", resource, got, err, want)
		}
	}
	if want := []string{"99 open files", "77 s of CPU time", "core dumps of 0 B"}; !slices.Equal(p.Held(), want) {
		t.Errorf("got %q, want %q", p.Held(), want)
	}
}

func TestLimits_WhoUsesUpItsCPUTimeIsKilledAndSaysWhy(t *testing.T) {
	limit := confine.Rules{Limits: confine.Limits{CPUSeconds: 1}}
	p := start(t, process.Spec{Path: "/bin/sh", Args: []string{"-c", "while :; do :; done"}, Confine: limit})
	<-p.Done()
	if got, want := p.Exit().Reason, "killed by SIGXCPU: over its limit of 1 s of CPU time"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	spec := helperSpec("spin") // which does not care for that signal
	spec.Confine = limit
	p = start(t, spec)
	<-p.Done()
	if got := p.Exit().Reason; !strings.HasPrefix(got, "killed by SIGKILL") {
		t.Errorf("got %q", got)
	}
}

func TestLimits_ThatTheSystemRefusesAreAnError(t *testing.T) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	spec := helperSpec("stay")
	spec.Confine.Limits.OpenFiles = 1 << 30 // above what the kernel allows anybody
	_, err := process.Start(t.Context(), spec)
	if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "limit open files to 1073741824: operation not permitted") {
		t.Errorf("got %v", err)
	}
}

func TestLandlock_ReachesWhatIsAllowedOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"read", "write", "secret"} {
		sub := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(sub, 0o755), os.WriteFile(filepath.Join(sub, "file"), []byte("old"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	rules := landlocked(t, confine.Landlock{
		ReadOnly:  []string{filepath.Join(dir, "read"), filepath.Join(dir, "secret", "file")},
		ReadWrite: []string{filepath.Join(dir, "write")},
	})
	var args, want []string
	for _, c := range []struct{ how, what, want string }{
		{"read", "read/file", "ok"}, {"list", "read", "ok"},
		{"write", "read/file", "EACCES"}, {"truncate", "read/file", "EACCES"}, {"write", "read/new", "EACCES"}, {"remove", "read/file", "EACCES"},
		{"read", "write/file", "ok"}, {"write", "write/file", "ok"}, {"write", "write/new", "ok"}, {"remove", "write/new", "ok"},
		{"read", "secret/file", "ok"}, {"write", "secret/file", "EACCES"}, {"list", "secret", "EACCES"}, {"list", "", "EACCES"},
	} {
		arg := c.how + " " + filepath.Join(dir, c.what)
		args, want = append(args, arg), append(want, arg+": "+c.want+"\n")
	}
	args = append(args, "read /etc/fstab", "list /root", "read /etc/hosts", "write /dev/null", "execute /bin/true", "bind 0")
	want = append(want, "read /etc/fstab: EACCES\n", "list /root: EACCES\n", "read /etc/hosts: ok\n", "write /dev/null: ok\n", "execute /bin/true: EACCES\n", "bind 0: ok\n")
	if got := output(t, rules, "files", args...); got != strings.Join(want, "") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, ""))
	}
	// It holds for what the process starts, and its own program it may start.
	exe, _ := os.Executable()
	if got := output(t, rules, "run", exe, "files", "list /root"); got != "list /root: EACCES\nok\n" {
		t.Errorf("got %q", got)
	}
}

func TestLandlock_ExecutablePaths(t *testing.T) {
	rules := landlocked(t, confine.Landlock{Executable: []string{"/bin", "/lib", "/lib64"}})
	if got := output(t, rules, "files", "execute /bin/true", "write /bin/nothing"); got != "execute /bin/true: ok\nwrite /bin/nothing: EACCES\n" {
		t.Errorf("got %q", got)
	}
}

func TestLandlock_Ports(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	open := strconv.Itoa(int(port))
	for _, c := range []struct {
		bind, connect []uint16
		want          string
	}{
		{[]uint16{}, nil, "bind 0: EACCES\nconnect " + open + ": ok\n"},
		{[]uint16{0}, []uint16{}, "bind 0: ok\nconnect " + open + ": EACCES\n"},
		{[]uint16{1}, []uint16{port}, "bind 0: EACCES\nconnect " + open + ": ok\n"},
	} {
		rules := landlocked(t, confine.Landlock{BindPorts: c.bind, ConnectPorts: c.connect})
		if got := output(t, rules, "files", "bind 0", "connect "+open, "multipath"); got != c.want+"multipath: EPROTONOSUPPORT\n" {
			t.Errorf("bind %v, connect %v: got %q, want %q", c.bind, c.connect, got, c.want)
		}
	}
}

func TestStart_SaysWhatCannotBe(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	nnp := confine.Rules{NoNewPrivileges: true}
	for _, c := range []struct {
		path  string
		rules confine.Rules
		kind  fault.Kind
		want  string
	}{
		{dir + "/nothing", nnp, fault.NotFound, `/nothing: no such file or directory`},
		{dir, nnp, fault.Denied, `permission denied`},
		{text, nnp, fault.Internal, `exec format error`},
		{"/bin/true", confine.Rules{Limits: confine.Limits{Memory: 1 << 20}}, fault.Invalid, `1 MiB of memory, the least is 16 MiB`},
		{"/bin/true", confine.Rules{Landlock: &confine.Landlock{ReadOnly: []string{"pages"}}}, fault.Invalid, `the path "pages" is not absolute`},
	} {
		refused(t, c.path, c.rules, c.kind, c.want)
	}
}

func TestLandlock_APathThatIsNotThereIsAnError(t *testing.T) {
	path := t.TempDir() + "/none"
	refused(t, "/bin/true", landlocked(t, confine.Landlock{ReadOnly: []string{path}}), fault.NotFound, "allow path "+path+": no such file or directory")
}

func refused(t *testing.T, path string, rules confine.Rules, kind fault.Kind, want string) {
	t.Helper()
	p, err := process.Start(t.Context(), process.Spec{Path: path, Confine: rules})
	if err == nil {
		p.Kill()
	}
	if err == nil || fault.KindOf(err) != kind || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v (%v), want %s (%v)", err, fault.KindOf(err), want, kind)
	}
}

func TestStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody wants it any more")
	spec := helperSpec("stay")
	spec.Confine.NoNewPrivileges = true
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	for range 1000 { // it takes longer than a millisecond to start one
		p, err := process.Start(ctx, spec)
		if err == nil {
			p.Kill()
			continue
		}
		if !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
		return
	}
	t.Error("it never ended")
}

func TestStart_LeaksNothing(t *testing.T) {
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	once := func(path string) {
		p, err := process.Start(t.Context(), process.Spec{Path: path, Confine: confine.Rules{NoNewPrivileges: true}})
		if err == nil {
			<-p.Done()
			err = p.Kill()
		}
		if (err == nil) != (path == "/bin/true") {
			t.Error(err)
		}
	}
	once("/bin/true")
	before := count()
	for range 10 {
		once("/bin/true")
		once("/bin/nothing at all")
	}
	if got := count(); got != before {
		t.Errorf("got %d open files, want %d", got, before)
	}
}

func TestConfined_DiesWithItsParent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.ExtraFiles, cmd.Stdout = []string{helperEnv + "=parent"}, []*os.File{w}, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	in.Close()
	if text, err := bufio.NewReader(out).ReadString('\n'); text != "here\n" {
		t.Fatalf("got %q, %v", text, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("its child lives: %v", err)
	}
}
