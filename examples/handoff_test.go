package examples_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const fast = "Baby, I'm so fast\r\n"

// handoff is served by become serve, which passes every connection to one of three processes, while they
// are swapped.
func handoff(t *testing.T, p program) {
	if !p.alone || runtime.GOOS == "windows" {
		return
	}
	addr, out, end := p.served(t, "--route", "least", "--procs", "3")
	for range 3 {
		if err := fastAnswer(addr); err != nil {
			t.Error(err)
		}
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	var answered, failed atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := fastAnswer(addr); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for range 5 {
		swapped, before := out.count("become: swapped\n"), answered.Load()
		out.process.Signal(syscall.SIGHUP)
		out.until(t, "a swap", func() bool {
			return failed.Load() > 0 || out.count("become: swapped\n") > swapped && answered.Load() > before
		})
	}
	close(quit)
	wg.Wait()
	t.Logf("%d answered, %d failed", answered.Load(), failed.Load())
	for n := range 3 {
		who := fmt.Sprintf("[Process-%d]\tanswered 127.0.0.1:", n+1)
		out.until(t, who, func() bool { return out.count(who) > 0 })
	}
	end()
}

func fastAnswer(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	got, err := io.ReadAll(c)
	if string(got) != fast {
		return fmt.Errorf("got %q, %v", got, err)
	}
	return nil
}

// output collects what a program prints.
type output struct {
	process *os.Process
	mu      sync.Mutex
	text    bytes.Buffer
	news    chan struct{} // closed at the next print
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.news)
	o.news = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) count(text string) int { return strings.Count(o.String(), text) }

// until looks whenever something is printed whether f holds.
func (o *output) until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		o.mu.Lock()
		news := o.news
		o.mu.Unlock()
		if f() {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("never happened: %s; it printed\n%s", what, o)
		}
	}
}

// served lets the command serve the program; end interrupts it.
func (p program) served(t *testing.T, args ...string) (addr string, out *output, end func()) {
	t.Helper()
	command := filepath.Join(filepath.Dir(p.path), "become")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, command, append([]string{"serve", p.path, "--listen", "127.0.0.1:0"}, args...)...)
	out = &output{news: make(chan struct{})}
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	out.process = cmd.Process
	serving := regexp.MustCompile(`become: serving .* at tcp://(\S+), `)
	out.until(t, "it serves", func() bool { return serving.MatchString(out.String()) })
	return serving.FindStringSubmatch(out.String())[1], out, func() {
		t.Helper()
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
