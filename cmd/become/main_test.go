//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/universal-server/become/ground/trace/otlp/otlptest"
)

// The test binary is the command too: for the scripts, and for nodes that
// start it as the host of JavaScript workers.
func TestMain(m *testing.M) {
	early()
	testscript.Main(m, map[string]func(){"become": main})
}

// Scripts have a few commands more. For processes that run meanwhile:
//
//	bg NAME COMMAND...          start COMMAND
//	activate NAME NAMES COMMAND...  start COMMAND with a socket for each of NAMES, as in web:admin; $WEB is an address
//	until NAME REGEXP           wait until it has printed something that matches
//	sig NAME INT|TERM|KILL|HUP|USR2  send a signal
//	ended NAME CODE [WITHIN]    wait for its end; -1 is killed
//	ask NETWORK ADDR TEXT REGEXP      send TEXT; the answer matches
//	answers NETWORK ADDR TEXT REGEXP  ask until the answer matches
//	manager NAME SOCKET         be a service manager that NAME, for until, has said what it heard
//
// And for what is run and printed:
//
//	code CODE COMMAND...        run COMMAND; CODE is its exit code
//	eventually REGEXP COMMAND...  run it again and again until it prints that
//	save VARIABLE [REGEXP]      what was printed last, or what of it matches first
//	json FILE PATH [REGEXP]     FILE is one JSON document that has PATH, as in 0.name or len
//	jsonl FILE PATH [REGEXP]    every line of FILE is
//	collect                     be a collector of traces for all that is started from now on
//	trace WHAT FILE             wait until the trace with the id WHAT, or with a first span of that name, is the tree that FILE has
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	goenv := map[string]string{"NL": "\n", "ROOT": root, "EXAMPLES": filepath.Join(root, "examples")}
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
		Condition:           isPeerHere,
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
			"bg": startJob, "until": awaitOutput, "once": saidOnce, "sig": signalJob, "ended": awaitEnd, "ask": askSocket, "answers": askAgain,
			"manager": startManager, "activate": startActivated, "code": exitsWith, "eventually": eventually, "save": save, "json": isJSON, "jsonl": areJSON,
			"collect": collect, "trace": awaitTrace,
		},
	})
}

// isPeerHere answers [peer:PROGRAM]: whether it is installed, or has to be; and [program:PROGRAM]: whether it is installed. The
// second is for what no system has ready: .ci/run builds it.
func isPeerHere(cond string) (bool, error) {
	if name, ok := strings.CutPrefix(cond, "program:"); ok {
		_, err := exec.LookPath(name)
		return err == nil, nil
	}
	name, ok := strings.CutPrefix(cond, "peer:")
	if !ok {
		return false, fmt.Errorf("there is no condition %q", cond)
	}
	_, err := exec.LookPath(name)
	return err == nil || os.Getenv("BECOME_REQUIRE_PEERS") == "1", nil
}

type jobsKey struct{}

type jobs struct {
	byName    map[string]*job
	collector *otlptest.Collector // of traces; nil before there is one
}

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
	cmd := exec.Command(pathOf(ts, args[1]), args[2:]...)
	cmd.Args[0] = args[1]
	launch(ts, args[0], cmd)
}

// startActivated starts a command as systemd does, with a TCP socket for each name.
func startActivated(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: activate NAME NAMES COMMAND...")
	}
	script := `LISTEN_PID=$$ LISTEN_FDS=$0 LISTEN_FDNAMES=$1; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; shift; exec "$@"`
	names := strings.Split(args[1], ":")
	cmd := exec.Command("/bin/sh", "-c", script, strconv.Itoa(len(names)), args[1], pathOf(ts, args[2]))
	cmd.Args = append(cmd.Args, args[3:]...)
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		ts.Check(err)
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		ts.Setenv(strings.ToUpper(name), l.Addr().String())
	}
	launch(ts, args[0], cmd)
}

func pathOf(ts *testscript.TestScript, program string) string {
	path, err := exec.LookPath(program)
	if p := filepath.Join(firstDir(ts.Getenv("PATH")), program); err != nil || fileExists(p) {
		return p
	}
	return path
}

func launch(ts *testscript.TestScript, name string, cmd *exec.Cmd) {
	j := &job{cmd: cmd, ended: make(chan struct{}), news: make(chan struct{})}
	j.cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "PATH", "HOME", "WORK", "BECOME_HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GORACE", "TMPDIR", "BECOME_URL", "BECOME_KEY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_BSP_SCHEDULE_DELAY"} {
		if v := ts.Getenv(name); v != "" {
			j.cmd.Env = append(j.cmd.Env, name+"="+v)
		}
	}
	// Without a terminal nobody but the script sends signals.
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	j.cmd.Stdout, j.cmd.Stderr = j, j
	ts.Check(j.cmd.Start())
	go func() { // ends with the process, which ends with the script
		j.cmd.Wait()
		close(j.ended)
	}()
	ts.Value(jobsKey{}).(*jobs).byName[name] = j
	ts.Defer(func() {
		j.cmd.Process.Kill()
		<-j.ended
		if said, _ := j.said(); said != "" {
			ts.Logf("[%s]\n%s", name, said)
		}
	})
}

// startManager listens where processes tell how they are, see sd_notify(3).
func startManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: manager NAME SOCKET")
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: args[1], Net: "unixgram"})
	ts.Check(err)
	j := &job{ended: make(chan struct{}), news: make(chan struct{})}
	ts.Value(jobsKey{}).(*jobs).byName[args[0]] = j
	go func() {
		defer close(j.ended)
		for b := make([]byte, 1<<16); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			j.Write(b[:n])
		}
	}()
	ts.Defer(func() {
		c.Close()
		<-j.ended
		said, _ := j.said()
		ts.Logf("[%s]\n%s", args[0], said)
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

const patience = 2 * time.Minute

func awaitOutput(ts *testscript.TestScript, neg bool, args []string) {
	j, want := find(ts, args[0]), regexp.MustCompile(args[1])
	late := time.After(patience)
	for {
		said, news := j.said()
		if found := want.FindStringSubmatch(said); found != nil {
			if len(args) > 2 {
				ts.Setenv(args[2], found[1])
			}
			return
		}
		select {
		case <-news:
		case <-j.ended:
			if said, _ := j.said(); !want.MatchString(said) {
				ts.Fatalf("%s ended and had said:\n%s", args[0], said)
			}
		case <-late:
			ts.Fatalf("%s did not say %s but:\n%s", args[0], args[1], said)
		}
	}
}

// saidOnce fails unless exactly one line of what a process has said matches.
func saidOnce(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: once NAME REGEXP")
	}
	said, _ := find(ts, args[0]).said()
	if n := len(regexp.MustCompile("(?m)"+args[1]).FindAllString(said, -1)); n != 1 {
		ts.Fatalf("%s said it %d times:\n%s", args[0], n, said)
	}
}

func dial(network, addr string) (net.Conn, error) {
	if network == "tls" { // whoever it is: curl looks at certificates
		return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	}
	return net.Dial(network, addr)
}

// askSocket sends a text to NETWORK ADDR, ends a stream with it, and compares
// what comes back; \n and \r in both are written as such.
func askSocket(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: ask NETWORK ADDR TEXT REGEXP")
	}
	got, err := answer(args[0], args[1], args[2])
	ts.Check(err)
	if !regexp.MustCompile(args[3]).Match(got) {
		ts.Fatalf("%s answered %q", args[1], got)
	}
}

// askAgain asks until the answer is right: a version that has just been replaced may accept once more.
func askAgain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: answers NETWORK ADDR TEXT REGEXP")
	}
	want := regexp.MustCompile(args[3])
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, err := answer(args[0], args[1], args[2])
		ts.Check(err)
		if want.Match(got) {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("%s answers %q", args[1], got)
		}
	}
}

// answer is what a server says to a text, in which \n and \r are escaped.
func answer(network, addr, text string) ([]byte, error) {
	c, err := dial(network, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	escapes := strings.NewReplacer(`\n`, "\n", `\r`, "\r")
	if _, err = io.WriteString(c, escapes.Replace(text)); err != nil {
		return nil, err
	}
	if stream, ok := c.(interface{ CloseWrite() error }); ok {
		stream.CloseWrite()
		return io.ReadAll(c)
	}
	got := make([]byte, 1<<16)
	n, err := c.Read(got)
	return got[:n], err
}

func signalJob(ts *testscript.TestScript, neg bool, args []string) {
	sig, ok := map[string]os.Signal{"INT": os.Interrupt, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "USR2": syscall.SIGUSR2}[args[1]]
	if !ok {
		ts.Fatalf("no signal %s", args[1])
	}
	ts.Check(find(ts, args[0]).cmd.Process.Signal(sig))
}

func awaitEnd(ts *testscript.TestScript, neg bool, args []string) {
	j, within := find(ts, args[0]), patience
	if len(args) > 2 {
		var err error
		within, err = time.ParseDuration(args[2])
		ts.Check(err)
	}
	select {
	case <-j.ended:
	case <-time.After(within):
		j.cmd.Process.Signal(syscall.SIGQUIT) // where does it hang?
		<-j.ended
		said, _ := j.said()
		ts.Fatalf("%s goes on; it said:\n%s", args[0], said)
	}
	if code := fmt.Sprint(j.cmd.ProcessState.ExitCode()); code != args[1] {
		said, _ := j.said()
		ts.Fatalf("%s ended with %s, want %s; it said:\n%s", args[0], code, args[1], said)
	}
}

func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code CODE COMMAND...")
	}
	got := "0"
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = fmt.Sprint(exit.ExitCode())
	} else {
		ts.Check(err)
	}
	if got != args[0] {
		ts.Fatalf("got exit code %s, want %s", got, args[0])
	}
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("it never printed %s: %v", args[0], err)
		}
	}
}

func save(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: save VARIABLE [REGEXP]")
	}
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		text = regexp.MustCompile(args[1]).FindString(text)
	}
	if text == "" {
		ts.Fatalf("nothing to save as %s", args[0])
	}
	ts.Setenv(args[0], text)
}

func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: json FILE PATH [REGEXP]")
	}
	inJSON(ts, ts.ReadFile(args[0]), args[1:])
}

func areJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: jsonl FILE PATH [REGEXP]")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n") {
		inJSON(ts, line, args[1:])
	}
}

// inJSON fails unless text is a JSON document that has a path, with a value that matches.
func inJSON(ts *testscript.TestScript, text string, args []string) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("no JSON: %v: %q", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("more than one JSON document: %q", text)
	}
	for step := range strings.SplitSeq(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				ts.Fatalf("no %s of %s in %s", step, args[0], text)
			}
			v = next
		case []any:
			if step == "len" {
				v = len(at)
				break
			}
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				ts.Fatalf("no %s of %s in %s", step, args[0], text)
			}
			v = at[i]
		default:
			if step != "" {
				ts.Fatalf("no %s of %s in %s", step, args[0], text)
			}
		}
	}
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	ts.Check(e.Encode(v))
	value := strings.TrimSpace(got.String())
	if s, ok := v.(string); ok {
		value = s
	}
	if len(args) > 1 && !regexp.MustCompile("^(?:"+args[1]+")$").MatchString(value) {
		ts.Fatalf("%s is %s, want %s", args[0], value, args[1])
	}
}
