package process

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Usage returns the memory process pid holds now, in bytes, and the CPU time it
// has used. It does not count the process's own children. fault.NotFound when there
// is no such process.
func Usage(pid int) (rss int64, cpu time.Duration, err error) {
	rss, cpu, err = usage(pid)
	if err != nil {
		return 0, 0, lookError("read usage of process", pid, err)
	}
	return rss, cpu, nil
}

// StartTime returns when process pid started, in a form only good for Alive on the
// same machine until it reboots. fault.NotFound when there is no such process.
func StartTime(pid int) (string, error) {
	start, err := startTime(pid)
	if err != nil {
		return "", lookError("read start time of process", pid, err)
	}
	return start, nil
}

// Alive reports whether the process with this id and start time still runs, and
// not another one that got its number. A zombie does not run.
func Alive(pid int, start string) bool {
	now, err := startTime(pid)
	return err == nil && now == start
}

func lookError(op string, pid int, err error) error {
	kind := fault.KindOf(err)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errGone) {
		kind = fault.NotFound
	}
	return fault.New(kind, op, strconv.Itoa(pid), err)
}
