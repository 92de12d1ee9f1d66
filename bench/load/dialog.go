package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// dialog is what one client says and hears.
type dialog interface {
	// ask appends the next request.
	ask(b []byte) []byte
	// hear reads the answer to the oldest request that has none, and checks it.
	hear(r *bufio.Reader) error
}

// newDialog returns that of the client with a number.
func newDialog(name string, number int) (dialog, error) {
	switch name {
	case "echo":
		return &echo{text: fmt.Appendf(nil, "%063d\n", number)}, nil
	case "cas":
		return &cas{}, nil
	case "redis":
		return &redis{key: "register" + strconv.Itoa(number)}, nil
	case "http":
		return &web{}, nil
	}
	return nil, fmt.Errorf("no dialog %q", name)
}

// echo sends 64 bytes.
type echo struct {
	text []byte
	back [64]byte
}

func (e *echo) ask(b []byte) []byte { return append(b, e.text...) }

func (e *echo) hear(r *bufio.Reader) error {
	if _, err := io.ReadFull(r, e.back[:]); err != nil {
		return err
	}
	if !bytes.Equal(e.back[:], e.text) {
		return fmt.Errorf("%q came back for %q", e.back, e.text)
	}
	return nil
}

// cas counts a register up that all clients share: an operation that finds another number than it
// expected is an answer too, and tells what to expect.
type cas struct {
	next    uint64   // what the register will hold if all goes well
	waiting []uint64 // what the operations under way expect, oldest first
	present uint64   // what the last one found
}

func (c *cas) ask(b []byte) []byte {
	b = strconv.AppendUint(b, c.next, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, c.next+1, 10)
	c.waiting = append(c.waiting, c.next)
	c.next++
	return append(b, '\n')
}

func (c *cas) hear(r *bufio.Reader) error {
	line, err := r.ReadSlice('\r')
	if err != nil {
		return err
	}
	present, err := strconv.ParseUint(string(bytes.TrimRight(line, "\n\r")), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no reply", line)
	}
	expected := c.waiting[0]
	c.waiting = append(c.waiting[:0], c.waiting[1:]...)
	if present < c.present {
		return fmt.Errorf("the register went from %d to %d", c.present, present)
	}
	c.present = present
	if len(c.waiting) == 0 {
		if c.next = present; present == expected {
			c.next = present + 1
		}
	}
	return nil
}

// casScript is compare-and-swap as Redis has it.
const casScript = `local v = redis.call('GET', KEYS[1]) or '0'
if v == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return v`

// redis counts a key of its own up by EVALSHA, after it has loaded the script.
type redis struct {
	key     string
	sha     string
	next    uint64
	loading bool
}

func (d *redis) ask(b []byte) []byte {
	if d.sha == "" {
		d.loading = true
		return command(b, "SCRIPT", "LOAD", casScript)
	}
	d.next++
	return command(b, "EVALSHA", d.sha, "1", d.key, strconv.FormatUint(d.next-1, 10), strconv.FormatUint(d.next, 10))
}

func command(b []byte, words ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(words)), 10)
	for _, w := range words {
		b = append(b, "\r\n$"...)
		b = strconv.AppendInt(b, int64(len(w)), 10)
		b = append(b, "\r\n"...)
		b = append(b, w...)
	}
	return append(b, "\r\n"...)
}

func (d *redis) hear(r *bufio.Reader) error {
	head, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if head[0] != '$' {
		return fmt.Errorf("redis says %q", head)
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(head[1:])))
	if err != nil || n < 1 {
		return fmt.Errorf("redis says %q", head)
	}
	value, err := r.Peek(n)
	if err != nil {
		return err
	}
	if d.loading {
		d.sha, d.loading = string(value), false
	} else if value[0] < '0' || value[0] > '9' {
		return fmt.Errorf("redis has %q", value)
	}
	_, err = r.Discard(n + 2)
	return err
}

// web asks for the root.
type web struct{}

func (*web) ask(b []byte) []byte { return append(b, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"...) }

func (*web) hear(r *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("got %q", line)
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	if length < 0 {
		return errors.New("an answer without a length")
	}
	_, err := r.Discard(length)
	return err
}
