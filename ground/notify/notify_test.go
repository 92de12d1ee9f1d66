//go:build unix

package notify_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/notify"
)

// manager is a service manager's socket, at a path or an abstract address.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return c
}

func take(t *testing.T) *notify.Notifier {
	t.Helper()
	n, err := notify.Take()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func hear(t *testing.T, c *net.UnixConn) []string {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b[:n]), "\n"), "\n")
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNotifier_TellsItsManager(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "s")}
	if runtime.GOOS == "linux" {
		names = append(names, fmt.Sprintf("@become-notify-test-%d", os.Getpid()))
	}
	for _, name := range names {
		c := manager(t, name)
		n := take(t)
		pid := "MAINPID=" + strconv.Itoa(os.Getpid())
		n.Ready("serving\nat :80")
		same(t, hear(t, c), "READY=1", pid, "STATUS=serving at :80")
		n.Status("serving\nat :80") // is known
		n.Reloading("")
		got := hear(t, c)
		if runtime.GOOS == "linux" {
			at, ok := strings.CutPrefix(got[1], "MONOTONIC_USEC=")
			if usec, err := strconv.ParseInt(at, 10, 64); !ok || err != nil || usec <= 0 {
				t.Errorf("got %q", got)
			}
			got = got[:1]
		}
		same(t, got, "RELOADING=1")
		n.Ready("")
		same(t, hear(t, c), "READY=1", pid)
		n.Status("waiting")
		same(t, hear(t, c), "STATUS=waiting")
		n.Stopping(3 * time.Second)
		same(t, hear(t, c), "STOPPING=1", "EXTEND_TIMEOUT_USEC=3000000", "STATUS=stopping")
	}
}

func TestTake_LeavesNothingForChildren(t *testing.T) {
	manager(t, filepath.Join(t.TempDir(), "s"))
	t.Setenv("WATCHDOG_USEC", "1000000")
	take(t)
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "NOTIFY_") || strings.HasPrefix(v, "WATCHDOG_") {
			t.Errorf("%s is left", v)
		}
	}
	if take(t) != nil {
		t.Error("it can be taken twice")
	}
}

func TestWatch_SaysThatItLivesWhileItDoes(t *testing.T) {
	c := manager(t, filepath.Join(t.TempDir(), "s"))
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := take(t)
	ctx, cancel := context.WithCancel(t.Context())
	over, asked := make(chan struct{}), make(chan bool)
	go func() { defer close(over); n.Watch(ctx, func() bool { return <-asked }) }()
	asked <- true
	same(t, hear(t, c), "WATCHDOG=1")
	asked <- false
	asked <- true
	same(t, hear(t, c), "WATCHDOG=1")
	n.Status("next") // there was no other before it
	same(t, hear(t, c), "STATUS=next")
	cancel()
	close(asked)
	<-over
}

func TestNobody_IsTold(t *testing.T) {
	for _, name := range []string{"", filepath.Join(t.TempDir(), "nobody")} {
		t.Setenv("NOTIFY_SOCKET", name)
		t.Setenv("WATCHDOG_USEC", "5000000")
		t.Setenv("WATCHDOG_PID", "1") // another process is watched
		n := take(t)
		n.Ready("x")
		n.Reloading("x")
		n.Status("y")
		n.Stopping(0)
		n.Watch(t.Context(), func() bool { t.Error("watched"); return true })
	}
}

func TestTake_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ socket, usec, pid, want string }{
		{"relative", "", "", `cannot use NOTIFY_SOCKET "relative": it is neither`},
		{"@", "", "", `cannot use NOTIFY_SOCKET "@": it is neither`},
		{"/" + strings.Repeat("x", 107), "", "", `cannot use NOTIFY_SOCKET "/xxx`},
		{"/run/it", "often", "", `cannot use WATCHDOG_USEC "often": it is no number of microseconds`},
		{"/run/it", "-5", "", `cannot use WATCHDOG_USEC "-5"`},
		{"/run/it", "9223372036854775807", "", `cannot use WATCHDOG_USEC "9223372036854775807"`},
		{"/run/it", "often", "1", ""}, // is for another process
		{"", "often", "", ""},
	} {
		t.Setenv("NOTIFY_SOCKET", c.socket)
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		_, err := notify.Take()
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

// A program that replaces this one has to find what this one has taken.
func TestReturn_ForTheNextProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manager")
	manager(t, path)
	t.Setenv("WATCHDOG_USEC", "1000000")
	n := take(t)
	for range 2 {
		n.Return()
		if got := os.Getenv("NOTIFY_SOCKET") + os.Getenv("WATCHDOG_USEC"); got != path+"1000000" {
			t.Errorf("the next program finds %q", got)
		}
		if _, ok := os.LookupEnv("WATCHDOG_PID"); ok {
			t.Error("what was not there is")
		}
		n.Retake()
		if got := os.Getenv("NOTIFY_SOCKET") + os.Getenv("WATCHDOG_USEC"); got != "" {
			t.Errorf("children find %q", got)
		}
	}
	n = nil
	n.Return()
	n.Retake()
}
