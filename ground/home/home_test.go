package home_test

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

const helperEnv = "BECOME_HOME_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

// hold is the helper process: it opens a home, publishes, and waits to be killed.
func hold(dir string) {
	time.AfterFunc(time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
	h, err := home.Open(dir)
	if err == nil {
		err = h.Publish(home.Contact{PID: os.Getpid(), URL: "nats://elsewhere"})
	}
	fmt.Println(err)
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// holder starts another process that has the home open.
func holder(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("helper says %q, %v", line, err)
	}
	return cmd
}

func open(t *testing.T, dir string) *home.Home {
	t.Helper()
	h, err := home.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// folder returns a path for a home, short enough for Run to be inside.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "home")
}

func TestDefault_FollowsTheEnvironment(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	t.Setenv(home.Env, "")
	if got := home.Default(); runtime.GOOS != "windows" && got != "/home/ann/.become" {
		t.Errorf("got %s", got)
	}
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	if got, want := home.Default(), filepath.Join(os.TempDir(), fmt.Sprint("become-", os.Getuid())); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	t.Setenv(home.Env, "/srv/become")
	if got := home.Default(); got != "/srv/become" {
		t.Errorf("got %s", got)
	}
}

func TestOpen_MakesAPrivateFolderThatStaysTheSame(t *testing.T) {
	dir := folder(t)
	h := open(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
	id := h.ID()
	if !regexp.MustCompile(`^[a-z2-7]{8}$`).MatchString(id) {
		t.Errorf("got id %q", id)
	}
	for _, sub := range []string{h.Bus(), h.Cache(), h.Logs(), h.Run()} {
		if info, err := os.Stat(sub); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v", sub, err)
		}
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if h = open(t, dir); h.ID() != id {
		t.Errorf("got id %s, want %s", h.ID(), id)
	}
}

func TestOpen_RefusesWhatIsNotOurs(t *testing.T) {
	write := func(dir, name, text string) {
		os.MkdirAll(dir, 0o700)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		make func(dir string)
		want fault.Kind
		text string
	}{
		{"not empty", func(dir string) { write(dir, "thesis.txt", "x") }, fault.Invalid, "not empty"},
		{"newer", func(dir string) { write(dir, "become-home", "2\n") }, fault.Invalid, `format is "2"`},
		{"damaged id", func(dir string) { write(dir, "become-home", "1\n"); write(dir, "id", "NO") }, fault.Invalid, "id is damaged"},
		{"writable", func(dir string) { os.Mkdir(dir, 0o700); os.Chmod(dir, 0o777) }, fault.Denied, "others may write"},
		{"group writable", func(dir string) { os.Mkdir(dir, 0o700); os.Chmod(dir, 0o770) }, fault.Denied, "others may write"},
	} {
		dir := folder(t)
		c.make(dir)
		_, err := home.Open(dir)
		if fault.KindOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.text) || fault.Hint(err) == "" {
			t.Errorf("%s: got %v (hint: %s)", c.name, err, fault.Hint(err))
		}
	}
	dir := folder(t)
	write(dir, "thesis.txt", "x")
	home.Open(dir)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("a refused folder was touched: %v", entries)
	}
}

func TestOpen_RefusesAnotherUsersFolder(t *testing.T) {
	dir := folder(t)
	if os.Getuid() == 0 {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 12345, -1); err != nil {
			t.Fatal(err)
		}
	} else {
		dir = "/"
	}
	if _, err := home.Open(dir); fault.KindOf(err) != fault.Denied {
		t.Errorf("got %v, want denied", err)
	}
}

func TestOpen_IsExclusive(t *testing.T) {
	dir := folder(t)
	cmd := holder(t, dir)
	_, err := home.Open(dir)
	want := fmt.Sprintf("cannot open home %s: in use by process %d", dir, cmd.Process.Pid)
	if fault.KindOf(err) != fault.Busy || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	cmd.Process.Kill()
	cmd.Wait()
	open(t, dir)
	if _, err := home.Open(dir); fault.KindOf(err) != fault.Busy {
		t.Errorf("a second time in one process: got %v, want busy", err)
	}
}

func TestOpen_HasOneWinner(t *testing.T) {
	dir := folder(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []*home.Home
	for range 16 {
		wg.Go(func() {
			h, err := home.Open(dir)
			if err != nil && fault.KindOf(err) != fault.Busy {
				t.Errorf("got %v, want busy", err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, h)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("got %d winners, want 1", len(won))
	}
	won[0].Close()
}

func TestFind_SeesOnlyTheLiving(t *testing.T) {
	dir := folder(t)
	missing := func(when string) {
		t.Helper()
		if c, ok, err := home.Find(dir); ok || err != nil {
			t.Errorf("%s: got %v, %v, %v", when, c, ok, err)
		}
	}
	missing("no folder")
	cmd := holder(t, dir)
	c, ok, err := home.Find(dir)
	if want := (home.Contact{PID: cmd.Process.Pid, URL: "nats://elsewhere"}); !ok || err != nil || c != want {
		t.Errorf("got %v, %v, %v", c, ok, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(dir, "node.json")); err != nil {
		t.Fatal("a killed node cannot have cleaned up")
	}
	missing("after a crash")

	h := open(t, dir)
	missing("open and not published")
	want := home.Contact{PID: os.Getpid(), URL: "nats://127.0.0.1:1", Node: h.ID(), Embedded: true, Started: time.Unix(1, 0).UTC()}
	if err := h.Publish(home.Contact{URL: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := h.Publish(want); err != nil {
		t.Fatal(err)
	}
	c, ok, err = home.Find(dir)
	if diff := cmp.Diff(want, c); !ok || err != nil || diff != "" {
		t.Errorf("got %v, %v (-want +got)\n%s", ok, err, diff)
	}
	h.Close()
	missing("closed")
	if err := h.Publish(want); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
}

func TestFind_DoesNotDisturbOpen(t *testing.T) {
	dir := folder(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, ok, err := home.Find(dir); err != nil || ok && c.URL != "here" {
					t.Errorf("got %v, %v, %v", c, ok, err)
				}
				runtime.Gosched()
			}
		})
	}
	for range 50 {
		h, err := home.Open(dir)
		if err != nil {
			t.Error(err)
			break
		}
		if err := h.Publish(home.Contact{URL: "here"}); err != nil {
			t.Error(err)
		}
		h.Close()
	}
	close(stop)
	wg.Wait()
}

func TestFind_RefusesDamage(t *testing.T) {
	dir := folder(t)
	open(t, dir)
	for _, text := range []string{"", "{", strings.Repeat("x", 65<<10)} {
		os.WriteFile(filepath.Join(dir, "node.json"), []byte(text), 0o600)
		if _, ok, err := home.Find(dir); ok || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.10q: got %v, %v, want invalid", text, ok, err)
		}
	}
}

func TestRun_FitsASocket(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	long := filepath.Join(folder(t), strings.Repeat("long", 40))
	for name, dir := range map[string]string{"short": folder(t), "long": long} {
		h := open(t, dir)
		inside := strings.HasPrefix(h.Run(), dir)
		if inside != (name == "short") {
			t.Errorf("%s: got %s", name, h.Run())
		}
		l, err := net.Listen("unix", filepath.Join(h.Run(), strings.Repeat("s", home.SocketName)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if info, err := os.Stat(h.Run()); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, %v", name, info, err)
		}
		h.Close()
		if _, err := os.Stat(h.Run()); !os.IsNotExist(err) {
			t.Errorf("%s: got %v, want no folder after Close", name, err)
		}
	}
}

func TestRun_HoldsNothingOfACrashedNode(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	runtimeDir := folder(t)
	os.MkdirAll(runtimeDir, 0o700)
	t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
	long := filepath.Join(folder(t), strings.Repeat("long", 40))
	for _, dir := range []string{folder(t), long} {
		cmd := holder(t, dir)
		cmd.Process.Kill()
		cmd.Wait()
		os.WriteFile(filepath.Join(dir, "run", "stale.sock"), nil, 0o600)
		h := open(t, dir)
		if entries, err := os.ReadDir(h.Run()); err != nil || len(entries) != 0 {
			t.Errorf("got %v, %v, want an empty folder", entries, err)
		}
		if entries, _ := os.ReadDir(runtimeDir); dir == long && len(entries) != 1 {
			t.Errorf("got %v, want one folder", entries)
		}
		h.Close()
	}
	if entries, _ := os.ReadDir(runtimeDir); len(entries) != 0 {
		t.Errorf("got %v, want nothing", entries)
	}
}

func TestRun_RemovesNoStrangersFolder(t *testing.T) {
	dir, victim := folder(t), folder(t)
	os.MkdirAll(victim, 0o700)
	h := open(t, dir)
	h.Close()
	os.WriteFile(filepath.Join(dir, "run-away"), []byte(victim), 0o600)
	open(t, dir)
	if _, err := os.Stat(victim); err != nil {
		t.Errorf("got %v: a folder that is none of ours is gone", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "run-away")); !os.IsNotExist(err) {
		t.Errorf("got %v, want the note gone", err)
	}
}

func TestHome_LeavesNoTemporaryFiles(t *testing.T) {
	dir := folder(t)
	h := open(t, dir)
	h.Publish(home.Contact{})
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".tmp") {
			t.Errorf("left %s", path)
		}
		return err
	})
}

func TestMachineID_IsStable(t *testing.T) {
	if a, b := home.MachineID(), home.MachineID(); a != b || len(a) != 16 {
		t.Errorf("got %q and %q", a, b)
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	h, err := home.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	h.Publish(home.Contact{PID: os.Getpid(), URL: "nats://127.0.0.1:4222"})
	c, ok, err := home.Find(dir)
	fmt.Println(c.URL, ok, err)
	// Output: nats://127.0.0.1:4222 true <nil>
}
