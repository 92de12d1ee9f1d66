package line_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/line"
)

// received sends a stream cut at a place to a line whose reader is interrupted there, and returns the frames
// that arrive on the same line, or with detach on another one of the same connection.
func received(t *testing.T, stream []byte, cut int, detach bool) (frames [][]byte) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := line.New(a, nil)
	take := func() (err error) {
		for {
			f, err := c.Receive()
			if err != nil {
				return err
			}
			frames = append(frames, bytes.Clone(f))
		}
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		b.Write(stream[:cut]) // returns when all of it was read
		a.SetReadDeadline(time.Unix(1, 0))
	})
	if err := take(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("cut at %d: got %v, want an interruption", cut, err)
	}
	sending.Wait()
	if _, err := c.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) { // a second one changes nothing
		t.Fatalf("cut at %d: got %v, want an interruption", cut, err)
	}
	a.SetReadDeadline(time.Time{})
	if detach {
		rest := c.Detach()
		if len(rest) != c.Buffered() {
			t.Errorf("cut at %d: got %d bytes, %d are said to be buffered", cut, len(rest), c.Buffered())
		}
		c = line.New(a, &line.Options{Received: rest})
	}
	sending.Go(func() {
		b.Write(stream[cut:])
		b.Close()
	})
	take()
	sending.Wait()
	return frames
}

func TestReceive_GoesOnAfterAnInterruption(t *testing.T) {
	bodies := [][]byte{[]byte("hello"), nil, []byte("there"), bytes.Repeat([]byte("x"), 70_000), bytes.Repeat([]byte("y"), 300_000), []byte("end")}
	var stream []byte
	var cuts []int
	for _, body := range bodies {
		start := len(stream)
		stream = append(stream, frame(uint32(len(body)), body)...)
		for _, n := range []int{0, 1, 3, 4, 5, 7, 1000, 65_536, 65_540, 69_999, 131_072, 200_000} {
			if start+n <= len(stream) {
				cuts = append(cuts, start+n)
			}
		}
	}
	for _, cut := range append(cuts, len(stream)) {
		for _, detach := range []bool{false, true} {
			frames := received(t, stream, cut, detach)
			if len(frames) != len(bodies) {
				t.Fatalf("cut at %d, detached: %v: got %d frames, want %d", cut, detach, len(frames), len(bodies))
			}
			for i, body := range bodies {
				if !bytes.Equal(frames[i], body) {
					t.Errorf("cut at %d, detached: %v: frame %d has %d bytes, want %d", cut, detach, i, len(frames[i]), len(body))
				}
			}
		}
	}
}

func FuzzDetach(f *testing.F) {
	f.Add([]byte("one"), []byte("two"), 5, true)
	f.Add([]byte{}, bytes.Repeat([]byte("z"), 66_000), 60_000, false)
	f.Fuzz(func(t *testing.T, one, two []byte, cut int, detach bool) {
		stream := append(frame(uint32(len(one)), one), frame(uint32(len(two)), two)...)
		if cut < 0 || cut > len(stream) {
			t.Skip()
		}
		frames := received(t, stream, cut, detach)
		if len(frames) != 2 || !bytes.Equal(frames[0], one) || !bytes.Equal(frames[1], two) {
			t.Errorf("got %d frames: %q", len(frames), frames)
		}
	})
}
