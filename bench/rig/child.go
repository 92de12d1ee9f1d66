package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Child is a process that answers questions as [Serve] does. Ask one at a
// time, and Stop it.
type Child struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // closed when it says no more
	tail  *tail
	once  sync.Once
}

// Start starts a process in a process group of its own, with env added to this
// process's environment.
func Start(name string, env []string, argv ...string) (*Child, error) {
	c := &Child{name: name, cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string), tail: &tail{}}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = c.tail
	// Grandchildren may hold the pipes open longer than the process lives.
	c.cmd.WaitDelay = time.Second
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go c.read(out)
	return c, nil
}

func (c *Child) read(out io.Reader) {
	defer close(c.lines)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c.lines <- lines.Text()
	}
}

// PID is the process's.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Line returns the next line the process says.
func (c *Child) Line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "", fmt.Errorf("%s has ended: %s", c.name, c.tail)
		}
		return line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %w", c.name, context.Cause(ctx))
	}
}

// Ask puts one question and returns the answer.
func (c *Child) Ask(ctx context.Context, question string, n int) (Answer, error) {
	if _, err := fmt.Fprintf(c.in, "%s %d\n", question, n); err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w: %s", c.name, err, c.tail)
	}
	line, err := c.Line(ctx)
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		return Answer{}, fmt.Errorf("%s said %q", c.name, line)
	}
	if a.Error != "" {
		return Answer{}, fmt.Errorf("%s: %s", c.name, a.Error)
	}
	return a, nil
}

// Stop asks the process to end (its input ends, then SIGTERM), kills its
// group after a while, and returns when it is gone.
func (c *Child) Stop() {
	c.once.Do(func() {
		c.in.Close()
		over := make(chan struct{})
		go func() { // what it still says must not hold it up
			for range c.lines {
			}
			close(over)
		}()
		wait := func(d time.Duration) bool {
			select {
			case <-over:
				return true
			case <-time.After(d):
				return false
			}
		}
		if !wait(200 * time.Millisecond) {
			c.cmd.Process.Signal(syscall.SIGTERM)
			wait(5 * time.Second)
		}
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		c.cmd.Wait()
	})
}

// tail keeps the end of what a process writes to its standard error.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4 << 10

// Write keeps the last bytes of p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > tailBytes {
		t.b = append(t.b[:0], t.b[len(t.b)-tailBytes:]...)
	}
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) == 0 {
		return "it said nothing"
	}
	return strings.TrimSpace(string(t.b))
}

// Missing says that something is not installed on this machine.
type Missing struct {
	What string
	// Rare says that there is no package of it, so that it may be missing where peers are required, too.
	Rare bool
}

func (m *Missing) Error() string { return m.What + " is not installed" }

// Find returns the path of an installed command, or a [Missing] error.
func Find(command string) (string, error) {
	path, err := exec.LookPath(command)
	if errors.Is(err, exec.ErrNotFound) {
		return "", &Missing{What: command}
	}
	return path, err
}
