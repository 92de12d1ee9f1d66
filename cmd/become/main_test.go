//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is the command too: for the scripts, and for nodes that
// start it as the host of JavaScript workers.
func TestMain(m *testing.M) {
	early()
	testscript.Main(m, map[string]func(){"become": main})
}

// Scripts use four commands more, for processes that run meanwhile:
//
//	bg NAME COMMAND...   start COMMAND
//	until NAME REGEXP    wait until it has printed something that matches
//	sig NAME INT|KILL    send a signal
//	ended NAME CODE      wait for its end; -1 is killed
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	goenv := map[string]string{"ROOT": root}
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		goenv[name] = values[i]
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for k, v := range goenv {
				e.Setenv(k, v)
			}
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("BECOME_HOME", filepath.Join(e.WorkDir, "home"))
			e.Values[jobsKey{}] = &jobs{byName: map[string]*job{}}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"bg": startJob, "until": awaitOutput, "sig": signalJob, "ended": awaitEnd,
		},
	})
}

type jobsKey struct{}

type jobs struct{ byName map[string]*job }

// job is a process that runs beside the script.
type job struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	news   chan struct{} // closed at the next output
}

func (j *job) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.output.Write(p)
	close(j.news)
	j.news = make(chan struct{})
	return len(p), nil
}

func (j *job) said() (string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.output.String(), j.news
}

func startJob(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: bg NAME COMMAND...")
	}
	path, err := exec.LookPath(args[1])
	if p := filepath.Join(firstDir(ts.Getenv("PATH")), args[1]); err != nil || fileExists(p) {
		path = p
	}
	j := &job{cmd: exec.Command(path, args[2:]...), ended: make(chan struct{}), news: make(chan struct{})}
	j.cmd.Args[0] = args[1]
	j.cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "WORK", "BECOME_HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GORACE", "TMPDIR"} {
		j.cmd.Env = append(j.cmd.Env, name+"="+ts.Getenv(name))
	}
	j.cmd.Stdout, j.cmd.Stderr = j, j
	ts.Check(j.cmd.Start())
	go func() { // ends with the process, which ends with the script
		j.cmd.Wait()
		close(j.ended)
	}()
	ts.Value(jobsKey{}).(*jobs).byName[args[0]] = j
	ts.Defer(func() {
		j.cmd.Process.Kill()
		<-j.ended
	})
}

func firstDir(list string) string {
	for _, d := range filepath.SplitList(list) {
		if fileExists(filepath.Join(d, "become")) {
			return d
		}
	}
	return ""
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func find(ts *testscript.TestScript, name string) *job {
	j := ts.Value(jobsKey{}).(*jobs).byName[name]
	if j == nil {
		ts.Fatalf("there is no job %s", name)
	}
	return j
}

const patience = 30 * time.Second

func awaitOutput(ts *testscript.TestScript, neg bool, args []string) {
	j, want := find(ts, args[0]), regexp.MustCompile(args[1])
	late := time.After(patience)
	for {
		said, news := j.said()
		if want.MatchString(said) {
			return
		}
		select {
		case <-news:
		case <-j.ended:
			if said, _ := j.said(); !want.MatchString(said) {
				ts.Fatalf("%s ended and had said:\n%s", args[0], said)
			}
			return
		case <-late:
			ts.Fatalf("%s did not say %s but:\n%s", args[0], args[1], said)
		}
	}
}

func signalJob(ts *testscript.TestScript, neg bool, args []string) {
	sig, ok := map[string]os.Signal{"INT": os.Interrupt, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM}[args[1]]
	if !ok {
		ts.Fatalf("no signal %s", args[1])
	}
	ts.Check(find(ts, args[0]).cmd.Process.Signal(sig))
}

func awaitEnd(ts *testscript.TestScript, neg bool, args []string) {
	j := find(ts, args[0])
	select {
	case <-j.ended:
	case <-time.After(patience):
		said, _ := j.said()
		ts.Fatalf("%s goes on; it said:\n%s", args[0], said)
	}
	if code := fmt.Sprint(j.cmd.ProcessState.ExitCode()); code != args[1] {
		said, _ := j.said()
		ts.Fatalf("%s ended with %s, want %s; it said:\n%s", args[0], code, args[1], said)
	}
}
