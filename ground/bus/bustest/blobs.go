package bustest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing/iotest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var blobTests = []func(*bench){
	ContentComesBack, AFailingReaderStoresNothing, AnEndedContextStoresNothing, BlobsAreReplacedWhole, ADeletedBlobIsGone,
}

func (h *bench) content(b bus.Blobs, name string) []byte {
	h.Helper()
	r := must(b.Open(h.ctx, name))(h)
	defer r.Close()
	data := must(io.ReadAll(r))(h)
	if info := must(b.Stat(h.ctx, name))(h); info.Size != int64(len(data)) {
		h.Errorf("size is %d, there are %d bytes", info.Size, len(data))
	}
	return data
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func ContentComesBack(h *bench) {
	n := name()
	b, elsewhere := h.blobs(h.b, bus.Spec{Name: n}), h.blobs(h.other(), bus.Spec{Name: n})
	_, err := b.Open(h.ctx, "none")
	h.kind("open none", err, fault.NotFound)
	_, err = b.Stat(h.ctx, "none")
	h.kind("stat none", err, fault.NotFound)
	for i, size := range []int{0, 1, 128 << 10, 3<<20 + 17} {
		want, key := random(size), fmt.Sprint("a name: with/many signs ", i)
		began := time.Now()
		h.ok(b.Put(h.ctx, key, iotest.HalfReader(bytes.NewReader(want))))
		if at := must(b.Stat(h.ctx, key))(h).Time; at.Before(began) || at.After(time.Now()) {
			h.Errorf("stored at %v, after %v", at, began)
		}
		if got := h.content(elsewhere, key); !bytes.Equal(got, want) {
			h.Errorf("%d bytes came back as %d, or others", size, len(got))
		}
	}
	h.kind("no name", b.Put(h.ctx, "", bytes.NewReader(nil)), fault.Invalid)
	// A reader that leaves early disturbs nobody.
	r := must(b.Open(h.ctx, "a name: with/many signs 3"))(h)
	must(io.ReadFull(r, make([]byte, 10)))(h)
	h.ok(r.Close())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, err := elsewhere.Open(h.ctx, "a name: with/many signs 3")
			if err != nil {
				h.Error(err)
				return
			}
			defer r.Close()
			if n, err := io.Copy(io.Discard, r); n != 3<<20+17 || err != nil {
				h.Errorf("read %d, %v", n, err)
			}
		})
	}
	wg.Wait()
}

func AFailingReaderStoresNothing(h *bench) {
	b := h.blobs(h.b, bus.Spec{Name: name()})
	broken := errors.New("the source is broken")
	source := func() io.Reader {
		return io.MultiReader(bytes.NewReader(random(400<<10)), iotest.ErrReader(broken))
	}
	if err := b.Put(h.ctx, "new", source()); !errors.Is(err, broken) {
		h.Errorf("error is %v", err)
	}
	_, err := b.Open(h.ctx, "new")
	h.kind("open", err, fault.NotFound)
	h.ok(b.Put(h.ctx, "old", bytes.NewReader([]byte("old"))))
	if err := b.Put(h.ctx, "old", source()); !errors.Is(err, broken) {
		h.Errorf("error is %v", err)
	}
	if got := h.content(b, "old"); string(got) != "old" {
		h.Errorf("content is now %d bytes", len(got))
	}
	if err := b.Put(h.ctx, "new", iotest.ErrReader(fault.Text(fault.Denied, "", "", "no"))); fault.KindOf(err) != fault.Denied {
		h.Errorf("the reader's kind became %v", err)
	}
}

func AnEndedContextStoresNothing(h *bench) {
	b := h.blobs(h.b, bus.Spec{Name: name()})
	ctx, cancel := context.WithCancel(h.ctx)
	endless := readerFunc(func(p []byte) (int, error) { // would never end by itself
		cancel()
		return len(p), nil
	})
	h.kind("put", b.Put(ctx, "x", endless), fault.Canceled)
	_, err := b.Open(h.ctx, "x")
	h.kind("open", err, fault.NotFound)
	_, err = b.Open(ctx, "x")
	h.kind("open", err, fault.Canceled)
	_, err = b.Stat(ctx, "x")
	h.kind("stat", err, fault.Canceled)
	h.kind("delete", b.Delete(ctx, "x"), fault.Canceled)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func BlobsAreReplacedWhole(h *bench) {
	n := name()
	b := h.blobs(h.b, bus.Spec{Name: n})
	var wg sync.WaitGroup
	for w := range 3 { // each writes one letter, of its own length
		mine := h.blobs(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			if err := mine.Put(h.ctx, "x", bytes.NewReader(bytes.Repeat([]byte{byte('a' + w)}, 200_000+w))); err != nil {
				h.Error(err)
			}
		})
	}
	wg.Wait()
	got := h.content(b, "x")
	if want := bytes.Repeat(got[:1], 200_000+int(got[0]-'a')); !bytes.Equal(got, want) {
		h.Errorf("a mixture of %d bytes", len(got))
	}
	h.ok(b.Put(h.ctx, "x", bytes.NewReader([]byte("last"))))
	if got := h.content(b, "x"); string(got) != "last" {
		h.Errorf("content is %d bytes", len(got))
	}
}

func ADeletedBlobIsGone(h *bench) {
	b := h.blobs(h.b, bus.Spec{Name: name()})
	h.ok(b.Delete(h.ctx, "x"))
	h.ok(b.Put(h.ctx, "x", bytes.NewReader([]byte("1"))))
	h.ok(b.Delete(h.ctx, "x"))
	h.ok(b.Delete(h.ctx, "x"))
	_, err := b.Open(h.ctx, "x")
	h.kind("open", err, fault.NotFound)
	_, err = b.Stat(h.ctx, "x")
	h.kind("stat", err, fault.NotFound)
	h.ok(b.Put(h.ctx, "x", bytes.NewReader([]byte("2"))))
	if got := h.content(b, "x"); string(got) != "2" {
		h.Errorf("content is %q", got)
	}
}
