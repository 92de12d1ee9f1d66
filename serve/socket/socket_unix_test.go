//go:build linux || darwin

package socket_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// take returns a descriptor of its own for a file, which it closes.
func take(t *testing.T, f *os.File) (fd int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 50) })
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return fd
}

func blocking(t *testing.T, s *socket.Socket) (blocks bool) {
	t.Helper()
	var c syscall.Conn
	if s.Packet != nil {
		c = s.Packet.(*net.UDPConn)
	} else {
		c = s.Listener.(syscall.Conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		flags, _ := unix.FcntlInt(fd, unix.F_GETFL, 0)
		blocks = flags&unix.O_NONBLOCK == 0
	})
	return blocks
}

func TestInherit_KeepsTheSocketAsItIs(t *testing.T) {
	for _, a := range []socket.Address{
		{Network: "tcp", Addr: "127.0.0.1:0"}, {Network: "udp", Addr: "127.0.0.1:0"},
		{Network: "unix", Addr: filepath.Join(t.TempDir(), "s")},
	} {
		s := open(t, a)
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		got, err := socket.Inherit(take(t, f), wire.Socket{Name: "x", Network: a.Network})
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != "x" || got.Network != a.Network || got.Addr != s.Addr {
			t.Errorf("got %+v, want %+v", got.Socket, s.Socket)
		}
		if blocking(t, s) || blocking(t, got) {
			t.Errorf("%s: it blocks", a.Network)
		}
		got.Close()
		if blocking(t, s) {
			t.Errorf("%s: it blocks", a.Network)
		}
		if a.Network == "udp" {
			continue
		}
		c, err := net.Dial(a.Network, s.Addr) // the copy's end left the socket alone
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestInherit_RefusesWhatIsSomethingElse(t *testing.T) {
	if _, err := socket.Inherit(999, wire.Socket{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	f, _ := open(t, socket.Address{Network: "tcp", Addr: "127.0.0.1:0"}).File()
	fd := take(t, f)
	defer unix.Close(fd)
	if _, err := socket.Inherit(fd, wire.Socket{Network: "udp"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	null, _ := os.Open(os.DevNull)
	fd = take(t, null)
	defer unix.Close(fd)
	if _, err := socket.Inherit(fd, wire.Socket{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	fd, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	defer unix.Close(fd)
	if _, err := socket.Inherit(fd, wire.Socket{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a socket that does not listen: got %v", err)
	}
}

func TestActivated_TakesTheSocketsOnce(t *testing.T) {
	if os.Getenv("SOCKET_TEST_ACTIVATED") != "" {
		activated(t)
		return
	}
	one, two := open(t, socket.Address{Network: "tcp", Addr: "127.0.0.1:0"}), open(t, socket.Address{Network: "udp", Addr: "127.0.0.1:0"})
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestActivated_TakesTheSocketsOnce$'`, os.Args[0])
	for _, s := range []*socket.Socket{one, two} {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=web:unknown", "SOCKET_TEST_ACTIVATED="+one.Addr+" "+two.Addr)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func activated(t *testing.T) {
	all, err := socket.Activated()
	if err != nil || len(all) != 2 {
		t.Fatalf("got %v, %v", all, err)
	}
	if all[0].Name != "web" || all[0].Network != "tcp" || all[1].Name != "" || all[1].Network != "udp" {
		t.Errorf("got %+v and %+v", all[0].Socket, all[1].Socket)
	}
	if got, want := all[0].Addr+" "+all[1].Addr, os.Getenv("SOCKET_TEST_ACTIVATED"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if all, err = socket.Activated(); len(all) != 0 || err != nil || os.Getenv("LISTEN_FDS") != "" {
		t.Errorf("a second time: got %v, %v", all, err)
	}
}

func TestActivated_LeavesOthersSocketsAlone(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getppid()))
	t.Setenv("LISTEN_FDS", "1")
	if all, err := socket.Activated(); len(all) != 0 || err != nil {
		t.Errorf("got %v, %v", all, err)
	}
}
