package values_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

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
