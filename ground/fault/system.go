package fault

import (
	"errors"
	"net"
	"net/url"
	"os"
)

// Reason returns what the system or the network says in err, without the layers of Go around it, which name what an [Error]
// names already: of "dial tcp 127.0.0.1:1: connect: connection refused" it is "connection refused". Other errors are returned as they are.
func Reason(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return Reason(e.Err)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return Reason(e.Err)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return errors.New("there is no host " + e.Name)
	}
	if e, ok := err.(*os.SyscallError); ok {
		return e.Err
	}
	return err
}
