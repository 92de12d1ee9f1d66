package reexec

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/universal-server/become/ground/fault"
)

const (
	// Env tells a program that it follows another one in this process: its value is
	// the number of the descriptor to read from.
	Env = "BECOME_REEXEC"

	// MaxState bounds what is written down. Unit: bytes.
	MaxState = 64 << 20
	maxFiles = 1 << 20
)

// letter is what one program leaves to the next.
type letter struct {
	PID   int             `json:"pid"`
	Files []int           `json:"files"`
	State json.RawMessage `json:"state"`
}

// Out collects the files that stay open. The zero value is ready; many goroutines may Add.
type Out struct {
	mu    sync.Mutex
	files []syscall.RawConn
	fds   []int
}

// Add lets a file, a connection or a listener stay open and returns the number by which
// the next program finds it. It stays the caller's, to be left open. An error, and 0,
// when it is closed.
func (o *Out) Add(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fault.New(fault.Invalid, "keep file open", "", err)
	}
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		return 0, fault.New(fault.Invalid, "keep file open", "", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if fd > 2 && !slices.Contains(o.fds, fd) {
		o.files, o.fds = append(o.files, raw), append(o.fds, fd)
	}
	return fd, nil
}

// Exec replaces this program by the executable at path, with args, the first of which is its
// name, and this program's environment. The new one finds state, as JSON, and the files.
//
// Exec returns only if it fails, and then the program goes on as before, except that SIGHUP, SIGUSR1 and
// SIGUSR2 are ignored until it asks for them again with Notify. Errors: fault.Invalid for
// a state that is too long or no JSON, without Main, and for what is no executable; fault.NotFound and
// fault.Denied as the system says about path.
func Exec(path string, args []string, state any, files *Out) error {
	if err := exec(path, args, state, files); err != nil {
		kind := fault.KindOf(err)
		switch {
		case errors.Is(err, os.ErrNotExist):
			kind = fault.NotFound
		case errors.Is(err, os.ErrPermission):
			kind = fault.Denied
		case errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.EISDIR):
			kind = fault.Invalid
		}
		return fault.New(kind, "replace the program by", path, err)
	}
	return nil
}

var errNoMain = fault.Text(fault.Invalid, "", "", "the main function does not begin with reexec.Main")

func encode(state any, fds []int) ([]byte, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, fault.New(fault.Invalid, "write state", "", err)
	}
	data, err := json.Marshal(letter{PID: os.Getpid(), Files: fds, State: raw})
	if err == nil && len(data) > MaxState {
		err = fault.Text(fault.Invalid, "write state", "", fmt.Sprintf("%d bytes, the limit is %d", len(data), MaxState))
	}
	return data, err
}

func decode(data []byte, pid int) (l letter, err error) {
	if err := json.Unmarshal(data, &l); err != nil {
		return l, fault.New(fault.Invalid, "read state", "", err)
	}
	switch {
	case l.PID != pid:
		return l, fault.Text(fault.Invalid, "read state", "", fmt.Sprintf("it is for process %d", l.PID))
	case len(l.Files) > maxFiles:
		return l, fault.Text(fault.Invalid, "read state", "", fmt.Sprintf("it has %d files", len(l.Files)))
	}
	for _, fd := range l.Files {
		if fd < 3 { // these are open anyway, and everybody's
			return l, fault.Text(fault.Invalid, "read state", "", "it leaves file "+strconv.Itoa(fd))
		}
	}
	return l, nil
}

// In is what the program before has left. Its methods may be called by many goroutines.
type In struct {
	state json.RawMessage

	mu    sync.Mutex
	files map[int]*os.File // nil: nobody has asked for it
	over  bool
}

// Received returns what the program before in this process has left, or nil when there was none. It
// takes it: a second call returns nil. An error says that there is something which cannot
// be read; fault.Invalid.
func Received() (*In, error) { return received() }

// State reads what was given to Exec.
func (in *In) State(v any) error {
	if err := json.Unmarshal(in.state, v); err != nil {
		return fault.New(fault.Invalid, "read state", "", err)
	}
	return nil
}

// File returns the file with the number that Out.Add has returned, the same for all who
// ask. It is theirs to close. fault.NotFound when there is none, or after Done.
func (in *In) File(fd int) (*os.File, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f, ok := in.files[fd]
	if !ok || in.over {
		return nil, fault.Text(fault.NotFound, "take file", strconv.Itoa(fd), "the program before has not left it")
	}
	if f == nil {
		f = os.NewFile(uintptr(fd), "left "+strconv.Itoa(fd))
		in.files[fd] = f
	}
	return f, nil
}

// Done closes the files that nobody has asked for, and lets those signals do their work that nobody
// has asked for with Notify. Call it when everything is taken over.
func (in *In) Done() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return
	}
	in.over = true
	for fd, f := range in.files {
		if f == nil {
			closeNumber(fd)
		}
	}
	in.files = nil
	early.deliver()
}
