package jet_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
)

// asked hears each request of a kind for a store, on a server without rights.
func asked(t *testing.T, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	s, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heard says how many there were.
func heard(t *testing.T, nc *nats.Conn, s *nats.Subscription) int {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	n, _, err := s.Pending()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func raw(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// large is content of many chunks.
func large() []byte {
	b := make([]byte, 3<<20+7)
	for i := range b {
		b[i] = byte(i * i >> 8)
	}
	return b
}

// copied puts content into a store and reads it back.
func copied(t *testing.T, b bus.Blobs, content []byte) {
	t.Helper()
	if err := b.Put(t.Context(), "it", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Open(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(content))
	}
}

// What is large is not read from the leader chunk by chunk, each as JSON.
func TestBlobs_AreReadSeveralChunksATime(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	nc := raw(t, p.url())
	b, err := connect(t, p.url(), nil).Blobs(t.Context(), bus.Spec{Name: "big"})
	if err != nil {
		t.Fatal(err)
	}
	leader, others := asked(t, nc, "$JS.API.STREAM.MSG.GET.OBJ_big"), asked(t, nc, "$JS.API.DIRECT.GET.OBJ_big")
	copied(t, b, large()) // 25 chunks
	if n, m := heard(t, nc, leader), heard(t, nc, others); n != 2 || m != 4 {
		t.Errorf("the leader was asked %d times, others %d, want 2 and 4", n, m)
	}
}

// A store that some other program made may let only its leader answer.
func TestBlobs_OfAStoreWithoutDirectReads(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	js, err := jetstream.New(raw(t, p.url()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "OBJ_old", Subjects: []string{"$O.old.C.>", "$O.old.M.>"}, Discard: jetstream.DiscardNew, AllowRollup: true,
	}); err != nil {
		t.Fatal(err)
	}
	b, err := connect(t, p.url(), nil).Blobs(t.Context(), bus.Spec{Name: "old"})
	if err != nil {
		t.Fatal(err)
	}
	copied(t, b, large())
}

// NATS's own client finds what we store, and we what it stores.
func TestBlobs_AreNATSObjects(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	js, err := jetstream.New(raw(t, p.url()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := connect(t, p.url(), nil).Blobs(t.Context(), bus.Spec{Name: "shared"})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := js.ObjectStore(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	copied(t, b, large())
	if got, err := theirs.GetBytes(t.Context(), "it"); err != nil || !bytes.Equal(got, large()) {
		t.Errorf("their client got %d bytes, %v", len(got), err)
	}
	if _, err := theirs.PutBytes(t.Context(), "theirs", large()); err != nil {
		t.Fatal(err)
	}
	r, err := b.Open(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, large()) {
		t.Errorf("we got %d bytes of theirs, %v", len(got), err)
	}
	if err := b.Delete(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.GetInfo(t.Context(), "theirs"); err != jetstream.ErrObjectNotFound {
		t.Errorf("after it was deleted their client says %v", err)
	}
	if all, err := theirs.List(t.Context()); err != nil || len(all) != 1 || all[0].Name != "it" {
		t.Errorf("their client lists %v, %v", all, err)
	}
}
