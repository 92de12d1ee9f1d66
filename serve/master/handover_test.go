//go:build linux || darwin

package master_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
)

const replacedEnv = "MASTER_TEST_REPLACED"

// replaced is a program with a master. Each line of its standard input is a description to deploy,
// the word exec for becoming this program anew, status or close; it answers each with a line.
func replaced() int {
	m, err := begun()
	for err == nil {
		data, _ := json.Marshal(m.Status())
		fmt.Println(string(data))
		line := readLine()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		switch line {
		case "status":
		case "exec":
			err = replace(ctx, m)
		case "close":
			err = m.Close(ctx)
		case "":
			cancel()
			return 0
		default:
			err = become(ctx, m, line)
		}
		cancel()
	}
	fmt.Println(err)
	return 1
}

// readLine reads nothing beyond the line: that is for the next program.
func readLine() string {
	var line []byte
	for b := make([]byte, 1); ; {
		if n, err := os.Stdin.Read(b); n == 0 || err != nil || b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

func begun() (*master.Master, error) {
	holders := new(master.Holders)
	opts := &master.Options{Name: "answers", Holders: holders, Keeper: keeper.Options{Probation: time.Second}}
	in, err := reexec.Received()
	if err != nil {
		return nil, err
	}
	if in == nil {
		return master.New(opts)
	}
	defer in.Done()
	var st *master.Handover
	if err := in.State(&st); err != nil {
		return nil, err
	}
	m, err := master.Adopt(st, in, opts)
	if err != nil {
		return nil, err
	}
	// Another service is still told who holds the address.
	other, err := master.New(&master.Options{Holders: holders})
	if err != nil {
		return nil, err
	}
	for _, s := range m.Status().Sockets {
		if s.TLS && m.Certificate() == nil {
			return nil, errors.New("nobody knows the certificate any more")
		}
	}
	for _, s := range m.Sockets() {
		taken := master.Spec{Listen: []string{s.Addr}}
		if s.Network == "tcp" {
			if err = other.Prepare(context.Background(), taken); !strings.Contains(fmt.Sprint(err), "by role answers") {
				return nil, fmt.Errorf("a second listener at %s: %w", s.Addr, err)
			}
		}
	}
	return m, nil
}

func replace(ctx context.Context, m *master.Master) error {
	if _, err := m.Handover(ctx, new(reexec.Out)); err != nil {
		return err
	}
	m.TakeBack() // and once more, as after a failure
	var out reexec.Out
	st, err := m.Handover(ctx, &out)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return reexec.Exec(exe, os.Args, st, &out)
}

func become(ctx context.Context, m *master.Master, line string) error {
	var s master.Spec
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, replacedEnv) })
	return m.Deploy(ctx, s, master.Program{Path: exe, Env: env})
}

// remote is a program with a master in it, seen from the test.
type remote struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func startRemote(t *testing.T) *remote {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), replacedEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	r := &remote{t, in, bufio.NewReader(stdout)}
	r.hear()
	return r
}

func (r *remote) hear() (st keeper.Status) {
	r.t.Helper()
	line, err := r.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &st)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return st
}

func (r *remote) say(line string) keeper.Status {
	r.t.Helper()
	fmt.Fprintln(r.in, line)
	return r.hear()
}

func (r *remote) deploy(s master.Spec) keeper.Status {
	r.t.Helper()
	data, _ := json.Marshal(s)
	return r.say(string(data))
}

func TestHandover_TheSocketsAndTheirVersionsGoOn(t *testing.T) {
	r := startRemote(t)
	// A short folder: the paths of Unix sockets end at 103 bytes.
	dir, err := os.MkdirTemp("", "become")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "answers")
	first := r.deploy(spec("one", "127.0.0.1:0", "unix:"+path))
	tcp := first.Sockets[0].Addr
	pid := first.Processes[0].PID
	if now := r.say("exec"); len(now.Processes) != 1 || now.Processes[0].PID != pid || !slices.Equal(now.Sockets, first.Sockets) {
		t.Errorf("got %+v, want %+v", now, first)
	}
	ask(t, "tcp", tcp, "one")
	ask(t, "unix", path, "one")
	// The next version goes without the Unix socket, which stays open until its probation is over, whoever
	// is the program then.
	if now := r.deploy(spec("two", "127.0.0.1:0")); !now.Probation {
		t.Errorf("got %+v", now)
	}
	now := r.say("exec")
	if got := now.Sockets[0].Addr; got != tcp {
		t.Errorf("the service is at %s, was at %s", got, tcp)
	}
	for end := time.Now().Add(30 * time.Second); exists(path); r.say("status") {
		if time.Now().After(end) {
			t.Fatal("the socket that nobody wants is still there")
		}
	}
	ask(t, "tcp", tcp, "two")
	r.deploy(spec("three", "127.0.0.1:0", "unix:"+path))
	r.say("exec")
	ask(t, "unix", path, "three")
	r.say("close")
	if exists(path) {
		t.Error("the path of the socket is left after Close")
	}
}

func TestHandover_RoutedConnectionsGoOn(t *testing.T) {
	r := startRemote(t)
	st := r.deploy(routed(spec("one", "127.0.0.1:0"), "least"))
	var asking sync.WaitGroup
	over := make(chan struct{})
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					ask(t, "tcp", st.Sockets[0].Addr, "one")
				}
			}
		})
	}
	for range 10 {
		now := r.say("exec")
		if len(now.Processes) != 1 || now.Processes[0].PID != st.Processes[0].PID || now.Sockets[0].Route != "least" {
			t.Errorf("got %+v, want %+v", now, st)
		}
	}
	close(over)
	asking.Wait()
	r.deploy(routed(spec("two", "127.0.0.1:0"), "ip"))
	askUntil(t, "tcp", st.Sockets[0].Addr, "two")
}

// asked is what a service says over TLS, and the certificate that it shows.
func asked(t *testing.T, addr string) (string, []byte) {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%s: %v", addr, err)
	}
	return string(got), c.ConnectionState().PeerCertificates[0].Raw
}

func TestHandover_TLSGoesOn(t *testing.T) {
	for _, route := range []string{"", "least", "ip"} {
		t.Run("route "+route, func(t *testing.T) {
			t.Setenv("BECOME_HOME", t.TempDir())
			r := startRemote(t)
			s := routed(spec("one", "tls://127.0.0.1:0", "plain=127.0.0.1:0"), route)
			s.TLS.Self = true
			first := r.deploy(s)
			at := first.Sockets[0].Addr
			said, certificate := asked(t, at)
			if said != "one\n" {
				t.Errorf("got %q", said)
			}
			check := func(now keeper.Status, want string) {
				t.Helper()
				if !slices.Equal(now.Sockets, first.Sockets) {
					t.Errorf("got %+v, want %+v", now.Sockets, first.Sockets)
				}
				said, same := asked(t, at)
				if said != want+"\n" || !slices.Equal(same, certificate) {
					t.Errorf("got %q and a certificate of %d bytes, want %q and the same of %d", said, len(same), want, len(certificate))
				}
				ask(t, "tcp", first.Sockets[1].Addr, want)
			}
			now := r.say("exec")
			check(now, "one")
			// A process that begins after it has the certificate too.
			syscall.Kill(now.Processes[0].PID, syscall.SIGKILL)
			check(now, "one") // is answered once it has
			if after := r.say("status"); after.Processes[0].PID == now.Processes[0].PID {
				t.Errorf("nothing was replaced: %+v", after)
			}
			s.Settings = spec("two").Settings
			now = r.deploy(s)
			for end := time.Now().Add(30 * time.Second); len(now.Processes) > 1 && time.Now().Before(end); {
				now = r.say("status") // the old version may accept one more until it has heard that it has to leave
			}
			check(now, "two")
			check(r.say("exec"), "two")
		})
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestAdopt_RefusesAnotherVersion(t *testing.T) {
	var torn master.Handover
	if err := json.Unmarshal(fmt.Appendf(nil, `{"version": %d, "used": [{"place": 1}]}`, master.HandoverVersion), &torn); err != nil {
		t.Fatal(err)
	}
	for _, st := range []*master.Handover{nil, {}, {Version: master.HandoverVersion + 1}, {Version: master.HandoverVersion}, &torn} {
		if m, err := master.Adopt(st, new(reexec.In), nil); m != nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v and %v", st, m, err)
		}
	}
}
