package main

import (
	"bytes"
	"context"
	"net"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

const end = "\n\r" // of every reply

// session is what a server knows of one connection between two segments: a stream has no lines, it
// has pieces of them.
type session struct {
	reg  register.Swapper
	rest []byte // the beginning of a line
}

// take answers the lines that a segment completes. When it is not ok the connection is of no more use: its line never ends,
// or the register has failed.
func (s *session) take(segment []byte) (replies []byte, ok bool) {
	s.rest = append(s.rest, segment...)
	for {
		i := bytes.IndexByte(s.rest, '\n')
		if i < 0 {
			return replies, len(s.rest) <= cas.MaxLine
		}
		reply, err := cas.Line(context.Background(), s.reg, string(s.rest[:i]))
		if err != nil {
			return replies, false
		}
		replies = append(replies, reply+end...)
		s.rest = s.rest[i+1:]
	}
}

// last is what is replied when the input has ended: half a line is no operation.
func (s *session) last() string {
	if len(s.rest) == 0 {
		return ""
	}
	return cas.BadSyntax + end
}

// serveConn is for the variants that wait for one connection.
func serveConn(conn net.Conn, reg register.Swapper) {
	defer conn.Close()
	s := session{reg: reg}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		replies, ok := s.take(buf[:n])
		if _, failed := conn.Write(replies); failed != nil || !ok {
			return
		}
		if err != nil {
			conn.Write([]byte(s.last()))
			return
		}
	}
}
