package program

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

// Find returns the absolute path of an executable file; a name without a slash is looked up in
// PATH. Errors: fault.NotFound, fault.Denied when it may not be executed, fault.Invalid for a directory.
func Find(name string) (string, error) {
	const op = "start"
	path, err := exec.LookPath(name)
	if err == nil {
		if path, err = filepath.Abs(path); err == nil {
			return path, nil
		}
	}
	info, statErr := os.Stat(name)
	switch {
	case name == "":
		return "", fault.Text(fault.Invalid, op, "", "there is no program")
	case statErr == nil && info.IsDir():
		return "", fault.Text(fault.Invalid, op, name, "it is a directory")
	case errors.Is(err, fs.ErrPermission):
		return "", fault.Text(fault.Denied, op, name, "permission denied").WithHint("chmod +x makes a file a program")
	case errors.Is(err, exec.ErrNotFound):
		return "", fault.Text(fault.NotFound, op, name, "there is no such program in PATH").WithHint("a program of this folder is written ./" + name)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", fault.Text(fault.NotFound, op, name, "there is no such file")
	}
	return "", fault.New(fault.Internal, op, name, err)
}

// Environ returns the environment of this process without what is become's own.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "BECOME_") })
}

// Merge returns an environment with more variables, which replace those of the same name. The error, of
// kind fault.Invalid, names one that is not KEY=VALUE.
func Merge(env, more []string) ([]string, error) {
	out := slices.Clone(env)
	for _, e := range more {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.ContainsRune(e, 0) {
			return nil, fault.Text(fault.Invalid, "use variable", strconv.Quote(e), "want KEY=VALUE")
		}
		out = append(slices.DeleteFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") }), e)
	}
	return out, nil
}

// End asks a program and its group to end with SIGTERM and kills them after grace, or when now ends. It
// returns when they are gone.
func End(now context.Context, p *process.Process, grace time.Duration) error {
	asked := make(chan error, 1)
	go func() { asked <- p.Terminate(grace) }()
	select {
	case err := <-asked:
		return err
	case <-now.Done():
		err := p.Kill()
		return errors.Join(err, <-asked)
	}
}

// SetBlocking sets whether all who have this open file or connection wait in the system for it. A
// program expects that it does.
func SetBlocking(c syscall.Conn, on bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = setNonblock(fd, !on) }); cerr != nil {
		return cerr
	}
	return err
}

// LongestLine is where a longer line is cut in two. Unit: bytes.
const LongestLine = 4 << 10

// lines cuts what is written into lines.
type lines struct {
	say  func(string)
	rest []byte
}

// Lines returns a writer that calls say with each line, without its end. Close says a last one
// that has no end.
func Lines(say func(text string)) io.WriteCloser { return &lines{say: say} }

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		room := LongestLine - len(l.rest)
		if len(line) > room {
			line, rest, whole = b[:room], b[room:], true
		}
		l.rest, b = append(l.rest, line...), rest
		if whole {
			l.say(strings.TrimSuffix(string(l.rest), "\r"))
			l.rest = l.rest[:0]
		}
	}
	return n, nil
}

func (l *lines) Close() error {
	if len(l.rest) > 0 {
		l.say(string(l.rest))
		l.rest = nil
	}
	return nil
}
