package cas

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/universal-server/become/keep/register"
)

// BadSyntax is the reply to a line that is no operation.
const BadSyntax = "Bad Syntax"

// end is what the server ends each reply with: LF CR, in this order.
const end = "\n\r"

// isSpace is \s of ASCII.
func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// parse reads `\s*(\d+)\s+(\d+)\s*` at the start of line; rest is what follows.
func parse(line []byte) (op register.Op, rest []byte, ok bool) {
	old := skip(line)
	var n int
	if op.Old, n = register.ParsePrefix(old); n == 0 {
		return op, nil, false
	}
	blanks := old[n:]
	new := skip(blanks)
	if len(new) == len(blanks) {
		return op, nil, false
	}
	if op.New, n = register.ParsePrefix(new); n == 0 {
		return op, nil, false
	}
	return op, skip(new[n:]), true
}

func skip(line []byte) []byte {
	for len(line) > 0 && isSpace(line[0]) {
		line = line[1:]
	}
	return line
}

// Line does the operation that a line asks for, by the server's grammar, and returns the reply
// without its end: the number that was present, or [BadSyntax] if line, without its
// newline, is not wholly `\s*\d+\s+\d+\s*`. The error is reg's.
func Line(ctx context.Context, reg register.Swapper, line string) (reply string, err error) {
	b, err := appendReply(ctx, nil, reg, []byte(line), false)
	return string(b), err
}

// Lenient is [Line] by the grammar of the drivers on standard input: what follows
// the two numbers is ignored, so "3 4abc" is CAS(3, 4).
func Lenient(ctx context.Context, reg register.Swapper, line string) (reply string, err error) {
	b, err := appendReply(ctx, nil, reg, []byte(line), true)
	return string(b), err
}

func appendReply(ctx context.Context, b []byte, reg register.Swapper, line []byte, lenient bool) ([]byte, error) {
	op, rest, ok := parse(line)
	if !ok || len(rest) > 0 && !lenient {
		return append(b, BadSyntax...), nil
	}
	present, err := register.CAS(ctx, reg, op.Old, op.New)
	if err != nil {
		return b, err
	}
	return present.Append(b), nil
}

// Drive is the driver for standard input: it answers each line of in by the grammar of
// [Lenient], with a newline after the reply, until in ends; what is left without
// a newline then is a line too. Replies are written before it waits for more. A
// line longer than 64 KiB is [BadSyntax]. The error is in's, out's or reg's; at the end of in nil.
func Drive(ctx context.Context, reg register.Swapper, in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, MaxLine+1)
	w := bufio.NewWriter(out)
	var reply []byte
	for {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return errors.Join(err, w.Flush())
		case err != nil && len(line) == 0:
			return w.Flush()
		case err == nil && !long:
			line = line[:len(line)-1]
		}
		var failed error
		if long {
			reply = append(reply[:0], BadSyntax...)
		} else if reply, failed = appendReply(ctx, reply[:0], reg, line, true); failed != nil {
			return errors.Join(failed, w.Flush())
		}
		w.Write(append(reply, '\n')) // its error stays with w
		if more, _ := r.Peek(r.Buffered()); err != nil || bytes.IndexByte(more, '\n') < 0 {
			if failed := w.Flush(); failed != nil || err != nil {
				return failed
			}
		}
	}
}
