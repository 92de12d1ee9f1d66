package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/ground/process"
)

// cost is what a server's processes spent on its answers. Unlike answers per second it hardly
// depends on what else the machine does.
type cost struct {
	pid     int // of the first process; its children belong to it
	cpu     time.Duration
	answers float64
}

// side counts what a side costs that takes so long a turn.
func (c *cost) side(side rig.Side, turn time.Duration) rig.Side {
	return func(ctx context.Context) (float64, error) {
		before, err := spent(c.pid)
		if err != nil {
			return 0, err
		}
		rate, err := side(ctx)
		if err != nil {
			return 0, err
		}
		after, err := spent(c.pid)
		c.cpu += after - before
		c.answers += rate * turn.Seconds()
		return rate, err
	}
}

// note compares two.
func (c *cost) note(other *cost) string {
	if c.answers == 0 || other.answers == 0 {
		return ""
	}
	mine, theirs := c.each(), other.each()
	return fmt.Sprintf("processor time for each answer: %.1f µs, theirs %.1f µs, %.2f ×", mine, theirs, mine/theirs)
}

// each is in µs.
func (c *cost) each() float64 { return float64(c.cpu) / float64(time.Microsecond) / c.answers }

// spent is the processor time of a process and its children.
func spent(pid int) (sum time.Duration, err error) {
	all, err := children(pid)
	if err != nil {
		return 0, err
	}
	for _, pid := range append(all, pid) {
		_, cpu, err := process.Usage(pid)
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

func children(parent int) (all []int, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for pid := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
	}
	return all, nil
}
