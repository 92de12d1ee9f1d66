package values_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/values"
)

// counted counts what is written.
type counted struct {
	bus.Blobs
	puts int
}

func (c *counted) Put(ctx context.Context, name string, r io.Reader) error {
	c.puts++
	return c.Blobs.Put(ctx, name, r)
}

func open(t *testing.T) *counted {
	t.Helper()
	b := mem.New().Connect()
	t.Cleanup(func() { b.Close() })
	blobs, err := b.Blobs(t.Context(), bus.Spec{Name: "values"})
	if err != nil {
		t.Fatal(err)
	}
	return &counted{Blobs: blobs}
}

func TestStore_KeepsAValueOnce(t *testing.T) {
	blobs, ctx := open(t), t.Context()
	s := &values.Store{Blobs: blobs}
	for _, v := range [][]byte{{}, []byte("small"), bytes.Repeat([]byte("large"), 1<<20)} {
		blobs.puts = 0
		name, err := s.Store(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Store(ctx, v); again != name || err != nil || blobs.puts != 1 {
			t.Errorf("the second time: %s, %v, after %d writes; want %s after 1", again, err, blobs.puts, name)
		}
		if got, err := s.Load(ctx, name); !bytes.Equal(got, v) || err != nil {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(v))
		}
	}
}

func TestStore_ReplacesOneThatIsCutShort(t *testing.T) {
	blobs, ctx := open(t), t.Context()
	s := &values.Store{Blobs: blobs}
	v := []byte("a value")
	name, err := s.Store(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := blobs.Blobs.Put(ctx, name, strings.NewReader("a v")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store(ctx, v); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(ctx, name); !bytes.Equal(got, v) || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLoad_BelievesNothing(t *testing.T) {
	blobs, ctx := open(t), t.Context()
	s := &values.Store{Blobs: blobs, Max: 100}
	name, err := s.Store(ctx, []byte("true"))
	if err != nil {
		t.Fatal(err)
	}
	blobs.Blobs.Put(ctx, name, strings.NewReader("fals"))
	if _, err := s.Load(ctx, name); fault.KindOf(err) != fault.Internal || err == nil {
		t.Errorf("other bytes: %v, want internal", err)
	}
	blobs.Blobs.Put(ctx, "endless", strings.NewReader(strings.Repeat("x", 1000)))
	for _, name := range []string{"endless", "", "short", strings.Repeat("0", 64), "../../etc/passwd", "a b\x00"} {
		if v, err := s.Load(ctx, name); err == nil {
			t.Errorf("%q: got %q", name, v)
		}
	}
	if _, err := s.Load(ctx, strings.Repeat("0", 64)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a name that is not there: %v, want not found", err)
	}
}

func TestStore_RefusesWhatIsTooLarge(t *testing.T) {
	blobs, ctx := open(t), t.Context()
	s := &values.Store{Blobs: blobs, Max: 100}
	if _, err := s.Store(ctx, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if _, err := s.Store(ctx, make([]byte, 101)); fault.KindOf(err) != fault.Invalid || err == nil || blobs.puts != 1 {
		t.Errorf("got %v after %d writes, want invalid after 1", err, blobs.puts)
	}
}

// Who was given a name must find the value under it for as long as was promised, however long
// others have stored the same before.
func TestStore_LastsAfterEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New().Connect()
		defer b.Close()
		const last = 24 * time.Hour
		blobs, err := b.Blobs(t.Context(), bus.Spec{Name: "values", MaxAge: values.Age(last)})
		if err != nil {
			t.Fatal(err)
		}
		count := &counted{Blobs: blobs}
		s := &values.Store{Blobs: count, Last: last}
		for again, puts := range map[time.Duration]int{0: 1, 11 * time.Hour: 1, 13 * time.Hour: 2, 30 * time.Hour: 2, 48 * time.Hour: 2} {
			count.puts = 0
			value := []byte(again.String())
			if _, err := s.Store(t.Context(), value); err != nil {
				t.Fatal(err)
			}
			time.Sleep(again)
			name, err := s.Store(t.Context(), value)
			if err != nil || count.puts != puts {
				t.Errorf("stored again after %v: %d writes, %v; want %d", again, count.puts, err, puts)
			}
			time.Sleep(last)
			if v, err := s.Load(t.Context(), name); !bytes.Equal(v, value) || err != nil {
				t.Errorf("stored again after %v, and read %v later: %q, %v", again, last, v, err)
			}
			time.Sleep(last)
			if _, err := s.Load(t.Context(), name); fault.KindOf(err) != fault.NotFound {
				t.Errorf("it is never gone: %v", err)
			}
		}
	})
}

// replaced is blobs whose content is replaced while it is read, some times.
type replaced struct {
	bus.Blobs
	times int
}

func (r *replaced) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if r.times--; r.times >= 0 {
		return io.NopCloser(iotest.ErrReader(fault.Text(fault.Internal, "read blob", name, "a part of it is gone"))), nil
	}
	return r.Blobs.Open(ctx, name)
}

func TestLoad_ReadsWhatIsBeingReplacedAgain(t *testing.T) {
	blobs := &replaced{Blobs: open(t)}
	s := &values.Store{Blobs: blobs}
	name, err := s.Store(t.Context(), []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	for times, want := range map[int]string{1: "v", 2: "v", 100: ""} {
		blobs.times = times
		if v, err := s.Load(t.Context(), name); string(v) != want || (err != nil) != (want == "") {
			t.Errorf("replaced %d times: %q, %v", times, v, err)
		}
	}
}
