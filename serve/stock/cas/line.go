package cas

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// BadSyntax is the reply to a line that is no operation.
const BadSyntax = "Bad Syntax"

// end is what the server ends each reply with: LF CR, in this order.
const end = "\n\r"

func isDigit(c byte) bool { return c-'0' <= 9 }

// isSpace is \s of ASCII.
func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// parse reads `\s*(\d+)\s+(\d+)\s*` at the start of line; rest is what follows.
func parse(line []byte) (old, new Number, rest []byte, ok bool) {
	i := skip(line, 0)
	if old, i, ok = digits(line, i); !ok {
		return
	}
	j := skip(line, i)
	if ok = j > i; !ok {
		return
	}
	if new, i, ok = digits(line, j); !ok {
		return
	}
	return old, new, line[skip(line, i):], true
}

func skip(line []byte, i int) int {
	for i < len(line) && isSpace(line[i]) {
		i++
	}
	return i
}

func digits(line []byte, i int) (n Number, next int, ok bool) {
	from := i
	var u uint64
	for i < len(line) && isDigit(line[i]) {
		u = u*10 + uint64(line[i]-'0')
		i++
	}
	switch {
	case i == from:
		return n, i, false
	case i-from < 20: // below 10¹⁹: u did not overflow
		return Number{small: u}, i, true
	}
	return number(line[from:i]), i, true
}

// Line does the operation that a line asks for, by the server's grammar, and returns the reply
// without its end: the number that was present, or [BadSyntax] if line, without its
// newline, is not wholly `\s*\d+\s+\d+\s*`. The error is reg's.
func Line(ctx context.Context, reg Swapper, line string) (reply string, err error) {
	b, err := appendReply(ctx, nil, reg, []byte(line), false)
	return string(b), err
}

// Lenient is [Line] by the grammar of the drivers on standard input: what follows
// the two numbers is ignored, so "3 4abc" is CAS(3, 4).
func Lenient(ctx context.Context, reg Swapper, line string) (reply string, err error) {
	b, err := appendReply(ctx, nil, reg, []byte(line), true)
	return string(b), err
}

func appendReply(ctx context.Context, b []byte, reg Swapper, line []byte, lenient bool) ([]byte, error) {
	old, new, rest, ok := parse(line)
	if !ok || len(rest) > 0 && !lenient {
		return append(b, BadSyntax...), nil
	}
	present, err := reg.CAS(ctx, old, new)
	if err != nil {
		return b, err
	}
	return present.Append(b), nil
}

// Drive is the driver for standard input: it answers each line of in by the grammar of
// [Lenient], with a newline after the reply, until in ends; what is left without
// a newline then is a line too. Replies are written before it waits for more. A
// line longer than 64 KiB is [BadSyntax]. The error is in's, out's or reg's; at the end of in nil.
func Drive(ctx context.Context, reg Swapper, in io.Reader, out io.Writer) error {
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
