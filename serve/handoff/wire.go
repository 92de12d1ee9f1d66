package handoff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/universal-server/become/ground/fault"
)

const (
	// MaxRead is how many bytes that were read already can travel with a connection.
	MaxRead = 64 << 10
	// Window is how many connections wait at a receiver at most. They are those that have to
	// wait for it although another one may be free sooner, so there are few; more than one, so
	// that a receiver that takes need not wait for the sender.
	Window = 8

	head = 4 // bytes of a frame before those that were read
)

// What a receiver says.
const (
	took     = 't'
	returned = 'r'
	ended    = 'e'
)

// frame is what is written for a connection.
func frame(read []byte) []byte {
	b := make([]byte, 0, head+len(read))
	b = binary.BigEndian.AppendUint32(b, uint32(len(read)))
	return append(b, read...)
}

// errNoDescriptor says that a socket came and could not be kept.
var errNoDescriptor = os.NewSyscallError("recvmsg", syscall.EMFILE)

// readFrame returns the next socket, which the caller closes, and what was read from it. io.EOF when there
// are no more. With errNoDescriptor the frame was read and the socket is lost to this process.
func readFrame(c *net.UnixConn) (f *os.File, read []byte, err error) {
	f, size, err := readHead(c)
	if err != nil && !errors.Is(err, errNoDescriptor) {
		return nil, nil, err
	}
	read = make([]byte, size)
	// A plain read closes whatever is sent along with these bytes.
	if _, failed := io.ReadFull(c, read); failed != nil {
		if f != nil {
			f.Close()
		}
		return nil, nil, unexpected(failed)
	}
	return f, read, err
}

func readHead(c *net.UnixConn) (f *os.File, size int, err error) {
	var b [head]byte
	n, f, err := readFile(c, b[:])
	if err != nil && !errors.Is(err, errNoDescriptor) {
		return nil, 0, err
	}
	if _, failed := io.ReadFull(c, b[n:]); failed != nil {
		err = unexpected(failed)
	} else if announced := binary.BigEndian.Uint32(b[:]); announced > MaxRead {
		err = fault.Text(fault.Invalid, "", "", fmt.Sprintf("%d bytes announced, the limit is %d", announced, MaxRead))
	} else {
		return f, int(announced), err
	}
	if f != nil {
		f.Close()
	}
	return nil, 0, err
}

// unexpected is the error of a frame that ends too soon.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
