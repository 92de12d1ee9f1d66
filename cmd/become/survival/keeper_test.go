//go:build linux

package survival

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long these tests wait for something that should come soon.
const patience = time.Minute

// What is built for these tests, once.
var bin string

func TestMain(m *testing.M) {
	code, err := build(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

// build makes the command as it is shipped, and the versions of the server.
func build(then func() int) (code int, err error) {
	if bin, err = os.MkdirTemp("", "become-survival-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(bin)
	for name, args := range map[string][]string{
		"become": {"-ldflags", "-s -w", "github.com/universal-server/become/cmd/become"},
		"v1":     {"-ldflags", "-s -w -X main.version=1", "./testdata/server"},
		"v2":     {"-ldflags", "-s -w -X main.version=2", "./testdata/server"},
		"exit":   {"-ldflags", "-s -w -X main.mode=exit", "./testdata/server"},
		"hang":   {"-ldflags", "-s -w -X main.mode=hang", "./testdata/server"},
		"crash":  {"-ldflags", "-s -w -X main.mode=crash", "./testdata/server"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", filepath.Join(bin, name)}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return then(), nil
}

// keeper is the process that holds the sockets of a service: become serve, or a node.
type keeper struct {
	t      *testing.T
	cmd    *exec.Cmd
	said   *output
	addr   string
	deploy func(version string) error // returns when it serves, or says why it does not
	renew  func() error               // replaces the keeper's own program; returns when it is, or says why not
	home   string                     // of a node
	temp   string                     // its temporary folder
	killed bool
}

// kinds are the two keepers there are.
var kinds = []struct {
	name  string
	start func(t *testing.T, procs int) *keeper
}{
	{"foreground", serveInForeground},
	{"node", serveOnNode},
}

// serveInForeground starts become serve with version 1.
func serveInForeground(t *testing.T, procs int) *keeper { return serve(t, procs) }

// serveRouted does the same, and passes the connections to the processes.
func serveRouted(t *testing.T, procs int) *keeper { return serve(t, procs, "--route", "least") }

func serve(t *testing.T, procs int, more ...string) *keeper {
	app := filepath.Join(t.TempDir(), "app")
	install(t, "v1", app)
	k := start(t, append([]string{"serve", app, "--listen", "127.0.0.1:0", "--procs", fmt.Sprint(procs)}, more...)...)
	k.addr = k.said.await(t, `serving .* at tcp://([0-9.:]+),`)
	done := regexp.MustCompile(`(?m)^become: (swapped|nothing is swapped: .*)$`)
	k.deploy = func(version string) error {
		install(t, version, app)
		return k.ask(syscall.SIGHUP, done, "swapped")
	}
	renewed := regexp.MustCompile(`(?m)^become: (this is become .* now; .*|nothing is replaced: .*)$`)
	k.renew = func() error { return k.ask(syscall.SIGUSR2, renewed, "this is become") }
	return k
}

// ask sends a signal and waits for what is printed then, which is an error unless it begins well.
func (k *keeper) ask(s syscall.Signal, answers *regexp.Regexp, well string) error {
	k.t.Helper()
	before := len(answers.FindAllString(k.said.String(), -1))
	k.signal(s)
	var all [][]string
	k.said.until(k.t, func(text string) bool {
		all = answers.FindAllStringSubmatch(text, -1)
		return len(all) > before
	})
	if what := all[before][1]; !strings.HasPrefix(what, well) {
		return errors.New(what)
	}
	return nil
}

// serveOnNode starts a node and deploys version 1 there.
func serveOnNode(t *testing.T, procs int) *keeper {
	home := t.TempDir()
	k := start(t, "up", "--home", home)
	k.home = home
	k.said.await(t, `is up at (\S+),`)
	app := filepath.Join(t.TempDir(), "app")
	k.deploy = func(version string) error {
		install(t, version, app)
		out, err := k.command("deploy", app, "--listen", "127.0.0.1:0", "--procs", fmt.Sprint(procs))
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if found := regexp.MustCompile(`at tcp://([0-9.:]+),`).FindStringSubmatch(out); found != nil {
			k.addr = found[1]
		}
		return nil
	}
	if err := k.deploy("v1"); err != nil {
		t.Fatal(err)
	}
	k.renew = func() error {
		out, err := k.command("upgrade")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	return k
}

// command runs a command on the node and returns what it printed.
func (k *keeper) command(args ...string) (string, error) {
	args = append(args, "--home", k.home, "--timeout", patience.String())
	cmd := exec.CommandContext(k.t.Context(), filepath.Join(bin, "become"), args...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install puts a version in the place of another in one step.
func install(t *testing.T, version, path string) {
	t.Helper()
	next := path + ".new"
	if err := os.Link(filepath.Join(bin, version), next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	os.Remove(next) // rename leaves it when both are links to the same file
}

// environment hides a fleet that the tests may run in.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "BECOME_") {
			env = append(env, e)
		}
	}
	return env
}

// start starts the command. It has to end well when the test does.
func start(t *testing.T, args ...string) *keeper {
	t.Helper()
	k := &keeper{t: t, cmd: exec.Command(filepath.Join(bin, "become"), args...), said: newOutput(), temp: t.TempDir()}
	k.cmd.Env = append(environment(), "TMPDIR="+k.temp)
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	k.cmd.Stdout, k.cmd.Stderr = k.said, k.said
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.stop)
	return k
}

// stop interrupts the keeper and sees that its processes are gone with it.
func (k *keeper) stop() {
	if k.killed {
		return
	}
	processes := k.processes()
	k.signal(syscall.SIGINT)
	late := time.AfterFunc(patience, func() { k.signal(syscall.SIGQUIT) }) // where does it hang?
	defer late.Stop()
	if err := k.cmd.Wait(); err != nil {
		k.t.Errorf("the keeper ended with %v", err)
	}
	for _, pid := range processes {
		if alive(pid) {
			k.t.Errorf("process %d is still there", pid)
		}
	}
	if k.t.Failed() {
		k.t.Logf("it said:\n%s", k.said)
	}
}

// kill ends the keeper and nobody else.
func (k *keeper) kill() {
	k.killed = true
	k.signal(syscall.SIGKILL)
	k.cmd.Wait()
}

func (k *keeper) signal(s syscall.Signal) { k.cmd.Process.Signal(s) }

// swap deploys a version, which has to succeed.
func (k *keeper) swap(version string) {
	k.t.Helper()
	if err := k.deploy(version); err != nil {
		k.t.Fatal(err)
	}
}

// version asks which version answers.
func (k *keeper) version() string {
	k.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: patience}
	res, err := client.Get("http://" + k.addr + "/")
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	version, _, _ := strings.Cut(string(body), " ")
	return version
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	news chan struct{} // closed at the next output
}

func newOutput() *output { return &output{news: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.news)
	o.news = make(chan struct{})
	return o.b.Write(p)
}

func (o *output) String() string {
	text, _ := o.now()
	return text
}

func (o *output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String(), o.news
}

// until waits until what was printed fulfils a wish.
func (o *output) until(t *testing.T, wish func(text string) bool) {
	t.Helper()
	late := time.After(patience)
	for {
		text, news := o.now()
		if wish(text) {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("it only said:\n%s", text)
		}
	}
}

// await waits until it has printed something and returns what the first parentheses hold.
func (o *output) await(t *testing.T, pattern string) (found string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	o.until(t, func(text string) bool {
		m := re.FindStringSubmatch(text)
		if m != nil {
			found = m[len(m)-1]
		}
		return m != nil
	})
	return found
}
