package line

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"time"

	"github.com/universal-server/become/ground/fault"
)

const (
	magic     = "BCM1"
	nonceSize = 16
	macSize   = sha256.Size
	accepted  = 'y'
	refused   = 'n'
	// HandshakeTimeout is how long a peer may take to prove itself.
	HandshakeTimeout = 5 * time.Second
)

// Client proves to the server at the other end of nc that it knows token,
// checks the server's own proof, and returns the line. fault.Denied when
// either proof fails. nc is closed on error.
func Client(ctx context.Context, nc net.Conn, token []byte, opts *Options) (*Conn, error) {
	err := guarded(ctx, nc, token, func() error {
		var hello [len(magic) + nonceSize]byte
		copy(hello[:], magic)
		rand.Read(hello[len(magic):])
		if _, err := nc.Write(hello[:]); err != nil {
			return err
		}
		var challenge [nonceSize + macSize]byte
		if _, err := io.ReadFull(nc, challenge[:]); err != nil {
			return err
		}
		cn, sn := hello[len(magic):], challenge[:nonceSize]
		if !hmac.Equal(challenge[nonceSize:], proof(token, "server", cn, sn)) {
			return fault.Text(fault.Denied, "open line", "", "the other end does not know the token")
		}
		if _, err := nc.Write(proof(token, "client", cn, sn)); err != nil {
			return err
		}
		var verdict [1]byte
		if _, err := io.ReadFull(nc, verdict[:]); err != nil {
			return err
		}
		if verdict[0] != accepted {
			return fault.Text(fault.Denied, "open line", "", "wrong token")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return New(nc, opts), nil
}

// Server asks the client at the other end of nc to prove that it knows token,
// and returns the line. fault.Denied when it cannot. nc is closed on error.
func Server(ctx context.Context, nc net.Conn, token []byte, opts *Options) (*Conn, error) {
	err := guarded(ctx, nc, token, func() error {
		var hello [len(magic) + nonceSize]byte
		if _, err := io.ReadFull(nc, hello[:]); err != nil {
			return err
		}
		if string(hello[:len(magic)]) != magic {
			return fault.Text(fault.Denied, "accept line", "", "the peer speaks another protocol")
		}
		cn := hello[len(magic):]
		sn := make([]byte, nonceSize, nonceSize+macSize)
		rand.Read(sn)
		if _, err := nc.Write(append(sn, proof(token, "server", cn, sn)...)); err != nil {
			return err
		}
		var answer [macSize]byte
		if _, err := io.ReadFull(nc, answer[:]); err != nil {
			return err
		}
		if !hmac.Equal(answer[:], proof(token, "client", cn, sn)) {
			nc.Write([]byte{refused})
			return fault.Text(fault.Denied, "accept line", "", "wrong token")
		}
		_, err := nc.Write([]byte{accepted})
		return err
	})
	if err != nil {
		return nil, err
	}
	return New(nc, opts), nil
}

func proof(token []byte, role string, clientNonce, serverNonce []byte) []byte {
	mac := hmac.New(sha256.New, token)
	mac.Write([]byte(role))
	mac.Write(clientNonce)
	mac.Write(serverNonce)
	return mac.Sum(nil)
}

// guarded runs f under the handshake's deadline and ctx, and closes nc when
// it fails. Without a token everybody would be let in, so nobody is.
func guarded(ctx context.Context, nc net.Conn, token []byte, f func() error) error {
	if len(token) == 0 {
		nc.Close()
		return fault.Text(fault.Denied, "open line", "", "there is no token")
	}
	deadline := time.Now().Add(HandshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	nc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if fault.KindOf(err) == fault.Denied {
			return err
		}
		if ctx.Err() != nil {
			return fault.New(fault.KindOf(ctx.Err()), "open line", "", ctx.Err())
		}
		if d, ok := ctx.Deadline(); ok && !d.After(time.Now()) { // the connection's clock was a moment faster
			return fault.New(fault.Deadline, "open line", "", context.DeadlineExceeded)
		}
		return fault.New(fault.Lost, "open line", "", err)
	}
	nc.SetDeadline(time.Time{})
	return nil
}
