package collection_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/keep/collection/collectiontest"
)

type value = collectiontest.Value

func TestMemory_IsAStore(t *testing.T) {
	s := new(collection.Memory[value])
	collectiontest.Exercise(t, func(*testing.T) collection.Store[value] { return s })
}

func TestStored_InThisProcessIsAStore(t *testing.T) { exercise(t, mem.New().Connect) }

func TestStored_OnNATSIsAStore(t *testing.T) {
	k := key.New()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ticket := k.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
	exercise(t, func() bus.Bus {
		b, err := jet.Connect(t.Context(), s.URL(), &jet.Options{Ticket: ticket})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// exercise opens the collection on another connection each time.
func exercise(t *testing.T, connect func() bus.Bus) {
	collectiontest.Exercise(t, func(t *testing.T) collection.Store[value] {
		b := connect()
		t.Cleanup(func() { b.Close() })
		s, err := collection.OpenStored[value](t.Context(), b, "values")
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestMemory_RefusesMoreThanItMayTake(t *testing.T) {
	s := &collection.Memory[value]{MaxBytes: 2000}
	var revision string
	for range 100 { // a replaced value makes room
		item, err := s.Swap(t.Context(), "a", &value{Text: strings.Repeat("x", 1000)}, revision)
		if err != nil {
			t.Fatal(err)
		}
		revision = item.Revision
	}
	_, err := s.Swap(t.Context(), "b", &value{Text: strings.Repeat("x", 1000)}, "")
	if fault.KindOf(err) != fault.Busy {
		t.Fatalf("got %v", err)
	}
	for range 100 { // and a deleted one too
		if _, err := s.Swap(t.Context(), "a", nil, revision); err != nil {
			t.Fatal(err)
		}
		item, err := s.Swap(t.Context(), "a", &value{Text: strings.Repeat("x", 1000)}, "")
		if err != nil {
			t.Fatal(err)
		}
		revision = item.Revision
	}
}

func TestMemory_RevisionsOfAnEarlierProcessAreNone(t *testing.T) {
	var before, after collection.Memory[value]
	a, err := before.Swap(t.Context(), "a", &value{}, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := after.Swap(t.Context(), "a", &value{}, "")
	if err != nil || a.Revision == b.Revision {
		t.Errorf("both have the revision %s, %v", a.Revision, err)
	}
}

func TestStored_ReadsWhatAnotherVersionOfTheTypeWrote(t *testing.T) {
	b := mem.New().Connect()
	defer b.Close()
	old, err := collection.OpenStored[struct {
		Text string
		Gone bool
	}](t.Context(), b, "values")
	if err != nil {
		t.Fatal(err)
	}
	v := struct {
		Text string
		Gone bool
	}{"kept", true}
	if _, err := old.Swap(t.Context(), "a", &v, ""); err != nil {
		t.Fatal(err)
	}
	now, err := collection.OpenStored[struct {
		Text string `minLength:"10"`
		New  int    `default:"7"`
	}](t.Context(), b, "values")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := now.Get(t.Context(), "a"); err != nil || got.Value.Text != "kept" || got.Value.New != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What is in the bucket and is no item harms nobody but itself.
func TestStored_SaysWhichRecordIsBroken(t *testing.T) {
	b := mem.New().Connect()
	defer b.Close()
	kv, err := b.KV(t.Context(), bus.Spec{Name: collection.Bucket("values")})
	if err != nil {
		t.Fatal(err)
	}
	s := collection.NewStored[value](kv)
	for _, key := range []string{"=zz", "=4", "a.b", "=61"} { // none is written so
		if _, err := kv.Put(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.List(t.Context(), "", 10); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := kv.Put(t.Context(), "broken", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "broken"); fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "cannot read broken") {
		t.Errorf("got %v", err)
	}
}

// counted counts what is asked of a store.
type counted struct {
	bus.KV
	gets, keys atomic.Int64
}

func (c *counted) Get(ctx context.Context, key string) (bus.Entry, error) {
	c.gets.Add(1)
	return c.KV.Get(ctx, key)
}

func (c *counted) Keys(ctx context.Context, since uint64) ([]string, uint64, error) {
	keys, now, err := c.KV.Keys(ctx, since)
	c.keys.Add(int64(len(keys)))
	return keys, now, err
}

func TestStored_APageCostsItsItems(t *testing.T) {
	b := mem.New().Connect()
	defer b.Close()
	kv, err := b.KV(t.Context(), bus.Spec{Name: collection.Bucket("values")})
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{KV: kv}
	s := collection.NewStored[value](c)
	put := func(id string) collection.Item[value] {
		t.Helper()
		item, err := s.Swap(t.Context(), id, &value{Text: id}, "")
		if err != nil {
			t.Fatal(err)
		}
		return item
	}
	const all, page = 1000, 10
	for i := range all {
		put(fmt.Sprintf("item %03d", i))
	}
	list := func(after, first string, gets, keys int64) {
		t.Helper()
		c.gets.Store(0)
		c.keys.Store(0)
		got, err := s.List(t.Context(), after, page)
		if err != nil || len(got) != page || got[0].ID != first || got[0].Value.Text != first {
			t.Errorf("after %s: got %v, %v", after, got, err)
		}
		if c.gets.Load() != gets || c.keys.Load() != keys {
			t.Errorf("after %s: %d values and %d keys were read, want %d and %d", after, c.gets.Load(), c.keys.Load(), gets, keys)
		}
	}
	list("", "item 000", page, all)
	list("item 009", "item 010", page, 0)
	list("item 5", "item 500", page, 0)
	made := put("item 0005") // between others
	list("item 000", "item 0005", page, all+1)
	if _, err := s.Swap(t.Context(), made.ID, nil, made.Revision); err != nil {
		t.Fatal(err)
	}
	list("item 000", "item 001", page+2, all+1) // one of them is deleted, and two more are asked for
	list("item 000", "item 001", page, 0)       // which is known by now
	if got, err := s.List(t.Context(), "item 998", page); err != nil || len(got) != 1 {
		t.Errorf("the last page: got %v, %v", got, err)
	}
	if got, err := s.List(t.Context(), "", 0); err != nil || len(got) != 0 {
		t.Errorf("a page of nothing: got %v, %v", got, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(gone, "", page); fault.KindOf(err) != fault.Canceled {
		t.Errorf("nobody waits for it: %v", err)
	}
}

// slow is a store to which each trip takes as long as trip.
type slow struct{ bus.KV }

const trip = time.Second

func (s slow) Get(ctx context.Context, key string) (bus.Entry, error) {
	time.Sleep(trip)
	return s.KV.Get(ctx, key)
}

func (s slow) Keys(ctx context.Context, since uint64) ([]string, uint64, error) {
	time.Sleep(trip)
	return s.KV.Keys(ctx, since)
}

// Deleted items leave their keys. Who lists past many of them asks for several at once, and only once while nothing changes.
func TestStored_DeletedItemsCostFewTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New().Connect()
		defer b.Close()
		kv, err := b.KV(t.Context(), bus.Spec{Name: collection.Bucket("values")})
		if err != nil {
			t.Fatal(err)
		}
		fast, s := collection.NewStored[value](kv), collection.NewStored[value](slow{kv})
		put := func(id string) string {
			item, err := fast.Swap(t.Context(), id, &value{Text: id}, "")
			if err != nil {
				t.Fatal(err)
			}
			return item.Revision
		}
		for i := range 200 {
			id := fmt.Sprintf("gone %03d", i)
			if _, err := fast.Swap(t.Context(), id, nil, put(id)); err != nil {
				t.Fatal(err)
			}
		}
		put("here")
		list := func(want string, most time.Duration) {
			t.Helper()
			began := time.Now()
			got, err := s.List(t.Context(), "", 1)
			if err != nil || len(got) != 1 || got[0].ID != want {
				t.Errorf("got %v, %v, want %s", got, err, want)
			}
			if took := time.Since(began) / trip; took > most {
				t.Errorf("it took %d trips, one after the other, want %d at most", took, most)
			}
		}
		list("here", 20)
		list("here", 2)
		put("gone 100")
		list("gone 100", 20)
		list("gone 100", 2)
	})
}

// An item that cannot be read fails the lists that it is on, and no others.
func TestStored_ABrokenItemFailsItsOwnPage(t *testing.T) {
	b := mem.New().Connect()
	defer b.Close()
	kv, err := b.KV(t.Context(), bus.Spec{Name: collection.Bucket("values")})
	if err != nil {
		t.Fatal(err)
	}
	s := collection.NewStored[value](kv)
	for _, id := range []string{"a", "c"} {
		if _, err := s.Swap(t.Context(), id, &value{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for key, text := range map[string]string{"b": "", "d": "x"} { // deleted, and broken
		if _, err := kv.Put(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.List(t.Context(), "", 2); err != nil || len(got) != 2 || got[1].ID != "c" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.List(t.Context(), "", 3); fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "cannot read d") {
		t.Errorf("got %v", err)
	}
}
