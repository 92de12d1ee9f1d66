package examples_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
	"github.com/universal-server/become/serve/stock/cas"
)

// casvariants are servers of the same register, in several ways. They need no fleet.
func casvariants(t *testing.T, p program) {
	if !p.alone {
		return
	}
	variants := []string{"fork", "shared", "busy", "poll", "threads"}
	if runtime.GOOS == "windows" {
		variants = variants[4:]
	} else {
		t.Run("hello", func(t *testing.T) { forks(t, p) })
		t.Run("processor time", func(t *testing.T) { burns(t, p) })
	}
	for _, name := range variants {
		t.Run(name, func(t *testing.T) {
			addr, end := p.variant(t, name)
			answersExactly(t, addr)
			sharesOneRegister(t, addr, name)
			if said := end(); !strings.HasPrefix(said, "Exiting\n") {
				t.Errorf("at its end it said %q", said)
			}
		})
	}
	p.fails(t, `there is no variant "nothing" here`, "--variant", "nothing", "--listen", "127.0.0.1:0")
}

// variant starts a server; end interrupts it and returns what it still said.
func (p program) variant(t *testing.T, name string, more ...string) (addr string, end func() string) {
	t.Helper()
	cmd, out, stderr := p.start(t, slices.Concat([]string{"--listen", "127.0.0.1:0", "--variant", name}, more)...)
	first := make([]byte, 0, 100)
	for b := []byte{0}; !bytes.HasSuffix(first, []byte("\n")); first = append(first, b...) {
		if _, err := io.ReadFull(out, b); err != nil {
			t.Fatalf("it ended: %v\n%s", cmd.Wait(), stderr)
		}
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(string(first)), name+": serving on ")
	if !ok {
		t.Fatalf("got %q", first)
	}
	return addr, func() string {
		if runtime.GOOS == "windows" {
			cmd.Process.Kill()
			cmd.Wait()
			return "Exiting\n"
		}
		if len(more) == 0 {
			cmd.Process.Signal(os.Interrupt)
		}
		rest, _ := io.ReadAll(out)
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("it ended with %v and said %q", err, stderr)
		}
		return string(rest)
	}
}

// answersExactly asks on two connections that are open at once, in segments.
func answersExactly(t *testing.T, addr string) {
	t.Helper()
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	for _, segment := range []string{"7 8", "\n0 0\nx\n 0", " ", "0\r\n3 ", strings.Repeat(" ", 5000), "3\nhalf"} {
		if _, err := io.WriteString(c, segment); err != nil {
			t.Fatal(err)
		}
	}
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if want := "0\n\r0\n\rBad Syntax\n\r0\n\r0\n\rBad Syntax\n\r"; string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// sharesOneRegister lets clients compare and swap at once, and asks whether one register explains
// what they saw. The processes of fork have one each: nothing does.
func sharesOneRegister(t *testing.T, addr, name string) {
	t.Helper()
	var h registertest.History
	var wg sync.WaitGroup
	for id := range 4 {
		c, err := cas.Dial(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			guess := register.Uint(0)
			for i := range 40 {
				op := register.Op{Old: guess, New: register.Uint(uint64(1000*(id+1) + i))}
				present, err := h.Record(id, []register.Op{op}, func() (register.Number, error) { return c.CAS(t.Context(), op.Old, op.New) })
				if err != nil {
					t.Error(err)
					return
				}
				guess = op.After(present)
			}
		})
	}
	wg.Wait()
	want := porcupine.Ok
	if name == "fork" {
		want = porcupine.Illegal
	}
	h.Check(t, want)
}

// forks looks at the lecture's first program: two processes print where there was one.
func forks(t *testing.T, p program) {
	cmd := exec.Command(p.path, "--variant", "hello")
	cmd.Env = p.env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := string(out)
	child := regexp.MustCompile(`(?m)^PID =  ([1-9]\d*)$`).FindStringSubmatch(got)
	if child == nil || !strings.Contains(got, "PID =  0\n") || strings.Count(got, "Hello world\n") != 2 || child[1] == strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("process %d printed %q", cmd.Process.Pid, got)
	}
}

// burns runs two variants side by side that have nothing to do.
func burns(t *testing.T, p program) {
	used := func(name string) (end func() float64) {
		addr, ended := p.variant(t, name, "--for", "1s")
		idle, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return func() float64 {
			defer idle.Close()
			said := ended()
			m := regexp.MustCompile(name + `: (\d+\.\d\d) s of processor time in`).FindStringSubmatch(said)
			if m == nil {
				t.Fatalf("%s said %q", name, said)
			}
			seconds, _ := strconv.ParseFloat(m[1], 64)
			return seconds
		}
	}
	busy, poll := used("busy"), used("poll")
	b, w := busy(), poll()
	t.Logf("busy used %.2f s of processor time, poll %.2f", b, w)
	if b < 5*w || b == 0 {
		t.Errorf("busy used %.2f s of processor time, poll %.2f", b, w)
	}
}
