//go:build linux || darwin

package reexec

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

func exec(path string, args []string, state any, files *Out) error {
	if calls.Load() == nil {
		return errNoMain
	}
	if files == nil {
		files = &Out{}
	}
	data, err := encode(state, files.fds)
	if err != nil {
		return err
	}
	f, err := memory()
	if err != nil {
		return fault.New(fault.Internal, "keep state", "", err)
	}
	defer f.Close()
	if _, err = f.Write(data); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fault.New(fault.Internal, "keep state", "", err)
	}
	all := Out{files: slices.Clone(files.files)}
	fd, err := all.Add(f)
	if err != nil {
		return err
	}
	// They end a program that does not look after them yet, as the next one in its first moment.
	signal.Ignore(unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	env := append(environ(), Env+"="+strconv.Itoa(fd))
	// An executable that was written a moment ago can be held open by a child between its fork and
	// its exec, for microseconds (https://go.dev/issue/22315).
	for wait := time.Millisecond; ; wait *= 2 {
		OnMain(func() { err = all.exec(path, args, env) })
		if !errors.Is(err, unix.ETXTBSY) || wait > 256*time.Millisecond {
			return err
		}
		time.Sleep(wait)
	}
}

// environ is the environment without what was for this program.
func environ() (env []string) {
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, Env+"=") {
			env = append(env, s)
		}
	}
	return env
}

// exec runs on the main thread. With ForkLock no child is started meanwhile, which would inherit what
// is open for the next program.
func (o *Out) exec(path string, args, env []string) error {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	defer o.closeOnExec(true)
	if err := o.closeOnExec(false); err != nil {
		return err
	}
	return syscall.Exec(path, args, env)
}

// closeOnExec sets the flag of all, and says which cannot.
func (o *Out) closeOnExec(on bool) (err error) {
	flag := 0
	if on {
		flag = unix.FD_CLOEXEC
	}
	for _, raw := range o.files {
		cerr := raw.Control(func(fd uintptr) {
			if _, e := unix.FcntlInt(fd, unix.F_SETFD, flag); e != nil {
				err = e
			}
		})
		if cerr != nil {
			err = fault.New(fault.Internal, "keep file open", "", cerr)
		}
	}
	return err
}

func received() (*In, error) {
	text, ok := os.LookupEnv(Env)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(Env)
	in, err := open(text)
	if err != nil {
		early.deliver() // nobody will call Done
		return nil, fault.New(fault.Invalid, "take over from the program before", "", err)
	}
	return in, nil
}

// open reads what the value of Env says.
func open(text string) (*In, error) {
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, errors.New(Env + " is " + strconv.Quote(text))
	}
	l, err := read(fd)
	if err != nil {
		return nil, err
	}
	in := &In{state: l.State, files: make(map[int]*os.File, len(l.Files))}
	for _, fd := range l.Files {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fault.New(fault.NotFound, "take file", strconv.Itoa(fd), err)
		}
		in.files[fd] = nil
	}
	return in, nil
}

// read reads and closes what the program before has written.
func read(fd int) (letter, error) {
	// Whatever the variable says, only a plain file is read: others could block.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return letter{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return letter{}, errors.New("descriptor " + strconv.Itoa(fd) + " is no file")
	}
	f := os.NewFile(uintptr(fd), "state")
	data, err := io.ReadAll(io.LimitReader(f, MaxState+1))
	if err != nil {
		return letter{}, err
	}
	l, err := decode(data, os.Getpid())
	if err == nil {
		err = f.Close()
	}
	return l, err
}

func closeNumber(fd int) { unix.Close(fd) }
