package notify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// The variables of sd_notify(3) and sd_watchdog_enabled(3).
const (
	envSocket      = "NOTIFY_SOCKET"
	envWatchdog    = "WATCHDOG_USEC"
	envWatchdogPID = "WATCHDOG_PID"
)

var variables = []string{envSocket, envWatchdog, envWatchdogPID}

const (
	maxPath     = 107 // bytes, of a Unix socket
	maxWatchdog = 365 * 24 * time.Hour
	maxLine     = 2048 // bytes
)

// Notifier sends to a service manager. Nil sends to nobody. Its methods may be called by
// several goroutines.
type Notifier struct {
	addr     *net.UnixAddr
	watchdog time.Duration // 0: none is wanted
	env      []string      // the variables

	mu     sync.Mutex
	status string // the last that was sent
}

// Take returns the notifier that this process was started with, or nil, and unsets the variables.
// fault.Invalid when they are there and wrong.
func Take() (*Notifier, error) {
	path, usec, pid := os.Getenv(envSocket), os.Getenv(envWatchdog), os.Getenv(envWatchdogPID)
	unset()
	if path == "" {
		return nil, nil
	}
	if len(path) < 2 || len(path) > maxPath || path[0] != '/' && path[0] != '@' {
		return nil, fault.Text(fault.Invalid, "use "+envSocket, strconv.Quote(path), "it is neither the path of a Unix socket nor @ and a name")
	}
	n := &Notifier{addr: &net.UnixAddr{Name: path, Net: "unixgram"}, env: []string{path, usec, pid}}
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil
	}
	d, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || d <= 0 || d > maxWatchdog.Microseconds() {
		return nil, fault.Text(fault.Invalid, "use "+envWatchdog, strconv.Quote(usec), "it is no number of microseconds")
	}
	n.watchdog = time.Duration(d) * time.Microsecond
	return n, nil
}

func unset() {
	for _, name := range variables {
		os.Unsetenv(name)
	}
}

// Return sets the variables again, for a program that replaces this one in its process.
func (n *Notifier) Return() {
	if n == nil {
		return
	}
	for i, value := range n.env {
		if value != "" {
			os.Setenv(variables[i], value)
		}
	}
}

// Retake undoes Return.
func (n *Notifier) Retake() {
	if n != nil {
		unset()
	}
}

// Ready says that the program serves now: after its start, and after Reloading.
func (n *Notifier) Ready(status string) {
	n.send("READY=1", "MAINPID="+strconv.Itoa(os.Getpid()), n.line(status))
}

// Reloading says that the program becomes another version, which ends with Ready.
func (n *Notifier) Reloading(status string) {
	at := ""
	if usec := monotonic(); usec > 0 {
		at = fmt.Sprintf("MONOTONIC_USEC=%d", usec)
	}
	n.send("RELOADING=1", at, n.line(status))
}

// Stopping says that the program is about to end, which may take that long.
func (n *Notifier) Stopping(within time.Duration) {
	extend := ""
	if within > 0 {
		extend = fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", within.Microseconds())
	}
	n.send("STOPPING=1", extend, n.line("stopping"))
}

// Status says in a few words what the program is at, for people. The same again is not sent.
func (n *Notifier) Status(text string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	same := n.status == text
	n.mu.Unlock()
	if !same {
		n.send(n.line(text))
	}
}

// line is a status as it is sent, on one line.
func (n *Notifier) line(text string) string {
	if n == nil || text == "" {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status = text
	return "STATUS=" + strings.Join(strings.Fields(text), " ")
}

// Watch says that the program lives, twice in the time that the service manager waits for it, as long as
// alive says so, until ctx ends. It returns at once if nobody wants to know.
func (n *Notifier) Watch(ctx context.Context, alive func() bool) {
	if n == nil || n.watchdog == 0 {
		return
	}
	tick := time.NewTicker(max(n.watchdog/2, time.Millisecond))
	defer tick.Stop()
	for {
		if alive() {
			n.send("WATCHDOG=1")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// send sends what is not empty in one datagram. A manager that cannot take it soon misses it.
func (n *Notifier) send(lines ...string) {
	if n == nil {
		return
	}
	var text []byte
	for _, l := range lines {
		if l != "" {
			text = append(append(text, l[:min(len(l), maxLine)]...), '\n')
		}
	}
	c, err := net.DialUnix(n.addr.Net, nil, n.addr)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	c.Write(text)
}
