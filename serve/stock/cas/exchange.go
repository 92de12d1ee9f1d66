package cas

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Port is where the lecture's server listens.
const Port = "22222"

// Address returns the network and the address that a text says: host, host:port, or unix:/path. Without
// a port it is [Port].
func Address(text string) (network, addr string) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		return "unix", path
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	if port == "" {
		port = Port
	}
	return "tcp", net.JoinHostPort(host, port)
}

// Exchange connects to a server, writes each segment by itself, and calls f with each reply, without its
// end, until f returns false or the server ends the connection. With end the server is told that nothing follows
// the segments: half a line gets its reply then, and the connection ends. Errors are of kind
// [fault.Lost], or ctx's when it ended first.
func Exchange(ctx context.Context, address string, segments []string, end bool, f func(reply string) (more bool)) error {
	network, addr := Address(address)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return exchangeFault(ctx, "connect to", address, err)
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	writing.Go(func() {
		for _, s := range segments {
			if _, err := io.WriteString(conn, s); err != nil {
				return // the reading says why
			}
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok && end {
			half.CloseWrite()
		}
	})
	r := bufio.NewReader(conn)
	for {
		line, err := readReply(r)
		switch {
		case err == nil:
			if !f(string(line)) {
				return nil
			}
		case errors.Is(err, io.EOF):
			return nil
		default:
			return exchangeFault(ctx, "hear from", address, err)
		}
	}
}

func exchangeFault(ctx context.Context, op, address string, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), op, address, context.Cause(ctx))
	}
	return fault.New(fault.Lost, op, address, fault.Reason(err))
}
