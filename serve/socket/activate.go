package socket

import (
	"os"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

const (
	firstActivated = 3
	maxActivated   = 1024
)

// Activated returns the sockets with which systemd or a program like it started this process:
// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, as in sd_listen_fds(3). It takes them, and
// unsets the variables. None without them or when they are for another process.
func Activated() ([]*Socket, error) {
	pid, fds, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if fds == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > maxActivated {
		return nil, fault.Text(fault.Invalid, "use LISTEN_FDS", strconv.Quote(fds), "it is no count of sockets")
	}
	named := strings.Split(names, ":")
	sockets := make([]*Socket, 0, n)
	for i := range n {
		var w wire.Socket
		if i < len(named) {
			w.Name = activatedName(named[i])
		}
		s, err := Inherit(firstActivated+i, w)
		if err != nil {
			for _, s := range sockets {
				s.Close()
			}
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// activatedName is a name as addresses have it; empty for one that nobody has chosen.
func activatedName(name string) string {
	if name == "unknown" || !goodName.MatchString(name) { // as the unit's own, hello.socket
		return ""
	}
	return name
}
