package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/ground/process"
)

// server is become serve with processes.
type server struct {
	*rig.Child
	addr string
}

// serving starts become serve: a program, or a stock server by its name, with more arguments.
func (c *contest) serving(ctx context.Context, what string, args ...string) (*server, error) {
	return c.start(ctx, nil, what, args...)
}

// telling is serving where what it tells on standard error can be read as lines: a swap is over. Somebody
// has to, or it stops in the middle of telling.
func (c *contest) telling(ctx context.Context, what string, args ...string) (*server, error) {
	return c.start(ctx, []string{"/bin/sh", "-c", `exec "$0" "$@" 2>&1`}, what, args...)
}

func (c *contest) start(ctx context.Context, by []string, what string, args ...string) (*server, error) {
	become, err := c.b.Become(ctx)
	if err != nil {
		return nil, err
	}
	argv := append(by, become, "serve", what, "--listen", "127.0.0.1:0", "--json")
	child, err := rig.Start("become serve", nil, append(argv, args...)...)
	if err != nil {
		return nil, err
	}
	c.stops = append(c.stops, child.Stop)
	line, err := child.Line(ctx)
	var said struct{ Address string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &said)
	}
	if err != nil {
		return nil, fmt.Errorf("start become serve %s: %w: %s", what, err, line)
	}
	return &server{child, said.Address}, nil
}

// hello starts the program examples/hello, which tells nothing by itself.
func (c *contest) hello(ctx context.Context, procs int) (*server, error) {
	program, err := c.b.Build(ctx, rig.Product+"/examples/hello")
	if err != nil {
		return nil, err
	}
	return c.telling(ctx, program, "--procs", strconv.Itoa(procs))
}

// processes are those that serve.
func (s *server) processes() ([]int, error) { return children(s.PID()) }

// swap makes it swap, and returns when it has.
func (s *server) swap(ctx context.Context) error {
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		return err
	}
	line, err := s.Line(ctx)
	if err == nil && !strings.HasSuffix(line, "become: swapped") {
		err = fmt.Errorf("become serve says %q", line)
	}
	return err
}

// resident is the memory of processes together, in bytes.
func resident(pids ...int) (sum uint64, err error) {
	for _, pid := range pids {
		rss, _, err := process.Usage(pid)
		if err != nil {
			return 0, err
		}
		sum += uint64(rss)
	}
	return sum, nil
}
