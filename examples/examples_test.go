// Package examples_test runs every example as a person would: its program
// built once, started alone with no fleet, and against a node whose worker processes do the work.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/child"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/worker"
)

// examples says what each folder's program must do.
var examples = map[string]func(t *testing.T, p program){
	"casvariants": casvariants,
	"chat":        chat,
	"echo":        echo,
	"echoserver":  echoserver,
	"crunch":      crunch,
	"factorial":   factorial,
	"greeting":    greets,
	"futures":     futures,
	"handoff":     handoff,
	"hello":       hello,
	"helloapp":    helloapp,
	"notes":       notes,
	"patch":       patch,
	"person":      person,
	"pool":        pool,
	"prefork":     prefork,
	"swap":        swap,
	"timeserver":  timeserver,
	"traces":      traces,
	"wordcount":   wordcount,
	"xmlrpc":      xmlrpc,
}

// services are those examples that serve: they are not run on a fleet.
var services = map[string]bool{
	"casvariants": true, "chat": true, "crunch": true, "echoserver": true, "greeting": true, "handoff": true, "hello": true, "notes": true, "prefork": true, "swap": true, "timeserver": true,
	"helloapp": true, "person": true, "traces": true, "xmlrpc": true,
}

func TestMain(m *testing.M) {
	// The node of these tests hosts scripts in this binary, as the command does in its own.
	if child.Wanted() {
		if err := child.Run(host{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type host struct{}

func (host) Open(_ context.Context, start control.Start) (engine.Engine, error) {
	source, err := os.ReadFile(start.Source)
	if err != nil {
		return nil, err
	}
	return js.Open(source, &js.Options{Name: start.Name, Slots: start.Slots, Memory: start.Memory})
}

func (host) Join(ctx context.Context, start control.Start, w *worker.Worker, ready func(worker.Values)) error {
	f, err := fleet.ConnectChild(ctx, start, slog.Default())
	if err != nil {
		return err
	}
	defer f.Close()
	ready(f.Values())
	return fleet.RunJobs(ctx, f, start, w)
}

// program is an example with the environment to start it in.
type program struct {
	path  string
	env   []string
	alone bool
}

func TestExamples(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./...", "../cmd/become")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	folders, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && f.Name() != "testdata" && examples[f.Name()] == nil {
			t.Errorf("the example in %s has no test", f.Name())
		}
		if f.IsDir() {
			checkDoc(t, f.Name())
		}
	}
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir()} // where settings are kept
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "BECOME_") && !strings.HasPrefix(e, "XDG_CONFIG_HOME=") {
			env = append(env, e)
		}
	}
	run := func(t *testing.T, alone bool, more ...string) {
		for name, check := range examples {
			path := filepath.Join(bin, name)
			if runtime.GOOS == "windows" {
				path += ".exe"
			}
			t.Run(name, func(t *testing.T) {
				check(t, program{path, slices.Concat(env, more), alone})
			})
		}
	}
	t.Run("alone", func(t *testing.T) {
		run(t, true, "BECOME_HOME="+t.TempDir())
	})
	t.Run("node", func(t *testing.T) {
		opts := node.Options{Home: t.TempDir(), Workers: 2, Slots: 2}
		n, err := node.Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := n.Stop(); err != nil {
				t.Error(err)
			}
		}()
		// As on a person's machine: the programs find the node by its home.
		run(t, false, "BECOME_HOME="+opts.Home)
	})
}

// checkDoc makes sure that an example says what to type.
func checkDoc(t *testing.T, name string) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(name, "main.go"), nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"\n\tgo run ./examples/" + name, "\n\tgo run ./cmd/become run ./examples/" + name}
	if services[name] {
		lines = []string{"\n\tgo run ./examples/" + name + " --listen "}
	}
	for _, line := range lines {
		if !strings.Contains("\n"+strings.ReplaceAll(file.Doc.Text(), "\r", ""), line) {
			t.Errorf("the doc comment of examples/%s lacks the line %q", name, strings.TrimSpace(line))
		}
	}
}

// start starts the program; a run that hangs is killed with the test.
func (p program) start(t *testing.T, args ...string) (*exec.Cmd, io.Reader, *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, &stderr
}

// run runs the program to its end and returns what it printed.
func (p program) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd, out, stderr := p.start(t, args...)
	text, err := io.ReadAll(out)
	if err == nil {
		err = cmd.Wait()
	}
	p.ended(t, err, stderr)
	return string(text)
}

// ended checks how a program that should have succeeded ended, and that it
// says on standard error that it runs alone, if it does, and nothing else.
func (p program) ended(t *testing.T, err error, stderr *bytes.Buffer) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	want := ""
	if p.alone {
		want = filepath.Base(p.path) + ": no fleet found, running alone in this process (start one with: become up)\n"
	}
	if stderr.String() != want {
		t.Errorf("standard error: got %q, want %q", stderr, want)
	}
}

func (p program) prints(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := p.run(t, args...); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// fails runs the program, which must exit with 1 and say text.
func (p program) fails(t *testing.T, text string, args ...string) {
	t.Helper()
	p.endsWith(t, 1, text, args...)
}

// endsWith runs the program to its end, which is to have a code and say a text.
func (p program) endsWith(t *testing.T, want int, text string, args ...string) {
	t.Helper()
	cmd, out, stderr := p.start(t, args...)
	io.Copy(io.Discard, out)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(stderr.String(), text) {
		t.Errorf("exit code %d and %q, want %d and %q", code, stderr, want, text)
	}
}

func factorial(t *testing.T, p program) {
	got := strings.Split(strings.TrimSpace(p.run(t)), "\n")
	pattern := regexp.MustCompile(`^([a-z0-9-]+)/([0-9]+)\t(.*)$`)
	var answers []string
	for _, line := range got {
		m := pattern.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("got the line %q", line)
		}
		if (m[1] == "local") != p.alone {
			t.Errorf("%q did not run where it should", line)
		}
		answers = append(answers, m[3])
	}
	slices.Sort(answers)
	want := []string{"1! = 1", "2! = 2", "3! = 6", "4! = 24", "5! = 120", "6! = 720", "7! = 5040", "8! = 40320", "9! = 362880"}
	if !slices.Equal(answers, want) {
		t.Errorf("got %v, want %v", answers, want)
	}
	if got := p.run(t, "25"); !strings.HasSuffix(got, "\t25! = 15511210043330985984000000\n") {
		t.Errorf("got %q: not exact", got)
	}
	p.fails(t, "-1! is not defined", "-1")
	p.fails(t, `"x" is not a whole number`, "x")
}

func futures(t *testing.T, p program) {
	p.prints(t, `2 + 3 = 5 <nil> succeeded
called back with 5
progress 1 2 3
not yet: true running
cancelled: canceled
1 / 0: cannot run function divide: panic: runtime error: integer divide by zero
gathered [2 4] <nil>
first hello winner <nil>
`)
}

func pool(t *testing.T, p program) {
	p.prints(t, `apply 5 <nil>
async 50 <nil> true
error out of paper
callback 2
100 callers 9900
own memory true
`)
}

func patch(t *testing.T, p program) {
	got := regexp.MustCompile(`calls made: [1-9][0-9]{3,}\n`).ReplaceAllString(p.run(t), "calls made: thousands\n")
	want := `deployed:    version 1 says hello world
patched:     version 2 says HELLO WORLD!
a call begun before the patch ended on version 1
rolled back: version 1 says hello world
calls made: thousands
failed: 0
versions seen by every caller: 1 2 1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func wordcount(t *testing.T, p program) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one.txt":     "The cat sat.\nThe dog's cat ran!",
		"sub/two.txt": strings.Repeat("über ", 100_000), // several tasks' worth
		"binary":      "\xff\xfe the cat",
		"empty":       "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.prints(t, `  100000 über
       2 cat
       2 the
       1 dog's
       1 ran
       1 sat
  100007 words in 4 files, 6 different
`, dir)
	p.fails(t, "say which files or folders to count")
	p.fails(t, "nowhere", filepath.Join(dir, "nowhere"))
}

// echo lets the servers take any ports that are free, and is their client.
func echo(t *testing.T, p program) {
	cmd, out, stderr := p.start(t, "0", "0")
	lines := bufio.NewScanner(out)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("it ended: %v\n%s", cmd.Wait(), stderr)
		}
		return lines.Text()
	}
	var ports []string
	for range 2 {
		port, ok := strings.CutPrefix(next(), "serving on 127.0.0.1:")
		if !ok {
			t.Fatalf("got %q", lines.Text())
		}
		ports = append(ports, port)
	}
	most := strings.Repeat("x", 1024)
	for _, port := range ports {
		for sent, want := range map[string]string{"hello": "hello", "two\nlines": "two\nlines", most: most} {
			if got := ask(t, port, sent); got != want {
				t.Errorf("port %s: got %q, want %q", port, got, want)
			}
		}
	}
	for _, port := range ports {
		if got := ask(t, port, "QUIT\n"); got != "QUIT\n" {
			t.Errorf("got %q for QUIT", got)
		}
		if got := next(); got != port { // one server ends, the other goes on
			t.Errorf("it printed %q, want %q", got, port)
		}
		if _, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			t.Errorf("port %s is still open after QUIT", port)
		}
	}
	if lines.Scan() {
		t.Errorf("it printed more: %q", lines.Text())
	}
	p.ended(t, cmd.Wait(), stderr)
	p.fails(t, `"http" is not a port`, "http")

	// Ctrl-C ends it.
	if runtime.GOOS == "windows" {
		return
	}
	cmd, out, stderr = p.start(t, "0")
	if lines = bufio.NewScanner(out); !lines.Scan() {
		t.Fatalf("it ended: %v\n%s", cmd.Wait(), stderr)
	}
	cmd.Process.Signal(os.Interrupt)
	io.Copy(io.Discard, out)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d after an interrupt, want 130\n%s", code, stderr)
	}
}

// ask sends text to a server and returns what it answers.
func ask(t *testing.T, port, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatal(fault.New(fault.KindOf(err), "ask", port, err))
	}
	return string(answer)
}

// hello serves until it is interrupted.
func hello(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	for path, want := range map[string]string{"": "hello world\n", "you": "hello you\n"} {
		if got := get(t, "http://"+addr+"/"+path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	p.endsWith(t, int(syscall.EADDRINUSE), "(address already in use)", "--listen", addr)
	p.endsWith(t, 2, `"nonsense" is no flag`, "nonsense")
	interrupt()
}

// greets is asked with its factory settings, and refuses bad ones; cmd/become/testdata/live.txtar changes them.
func greets(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	if got := get(t, "http://"+addr); !strings.HasPrefix(got, "hello world from process ") {
		t.Errorf("got %q", got)
	}
	p.endsWith(t, 2, "greeting: must have at least", "--greeting=")
	interrupt()
}

// serving starts an example that serves, at any free port unless it is told where, and returns its addresses, and
// what interrupts it.
func serving(t *testing.T, p program, listen ...string) (addr string, interrupt func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if len(listen) == 0 {
		listen = []string{"127.0.0.1:0"}
	}
	cmd := exec.CommandContext(ctx, p.path)
	for _, l := range listen {
		cmd.Args = append(cmd.Args, "--listen", l)
	}
	cmd.Env = p.env
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	lines.Scan()
	_, addr, ok := strings.Cut(lines.Text(), ": serving on ")
	if !ok {
		t.Fatalf("got %q", lines.Text())
	}
	return addr, func() {
		t.Helper()
		http.DefaultClient.CloseIdleConnections()
		if runtime.GOOS == "windows" {
			cmd.Process.Kill()
			cmd.Wait()
			return
		}
		cmd.Process.Signal(os.Interrupt)
		said := ""
		for lines.Scan() {
			if !p.alone || !strings.Contains(lines.Text(), "no fleet found") {
				said += lines.Text()
			}
		}
		if want := filepath.Base(p.path) + ": aborted (user or software interrupt)"; said != want {
			t.Errorf("it said %q, want %q", said, want)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d after an interrupt, want 130", code)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}
