//go:build !linux && !darwin

package socket

import (
	"os"
	"syscall"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

// The numbers of Windows: package syscall's own names are others there.
const (
	addrInUse   = syscall.Errno(10048)
	connRefused = syscall.Errno(10061)
)

var errUnsupported = fault.Text(fault.Invalid, "", "", "this operating system does not pass sockets")

func duplicate(uintptr, string) (*os.File, error) { return nil, errUnsupported }

func inherit(int, wire.Socket) (*Socket, error) { return nil, errUnsupported }
