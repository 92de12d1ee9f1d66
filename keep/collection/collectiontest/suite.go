package collectiontest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/collection"
)

// Value is what the tests store.
type Value struct {
	Text  string
	Count int
	Tags  []string
	At    time.Time
}

// Exercise runs the tests. open returns the store, which may have items already; all that it returns in one test
// have the same items.
func Exercise(t *testing.T, open func(t *testing.T) collection.Store[Value]) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) collection.Store[Value]){
		"ItemsAreWhatWasStored":     items,
		"RevisionsAreOfOneValue":    revisions,
		"OneOfManySucceeds":         race,
		"NoUpdateIsLost":            updates,
		"ListsAreInOrder":           lists,
		"IDsAreAnyText":             ids,
		"NobodySharesMemory":        memory,
		"WhatIsWrongChangesNothing": wrong,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// equal takes an empty list for a nil one: no store has to tell them apart.
func equal[T any](a, b T) bool { return gocmp.Equal(a, b, cmpopts.EquateEmpty()) }

// fresh is an id that nobody has used.
func fresh() string { return "x" + strings.ToLower(rand.Text()) }

func want(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("%s: got %v, want an error of kind %v", what, err, kind)
	}
}

func put(t *testing.T, s collection.Store[Value], id string, v Value, revision string) collection.Item[Value] {
	t.Helper()
	item, err := s.Swap(t.Context(), id, &v, revision)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func items(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s, other := open(t), open(t)
	id := fresh()
	_, err := s.Get(t.Context(), id)
	want(t, "an item that is not there", err, fault.NotFound)
	v := Value{"ünï\x00", -1, []string{"a", ""}, time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)}
	before := time.Now().Add(-time.Second)
	made := put(t, s, id, v, "")
	for range 2 {
		got, err := other.Get(t.Context(), id)
		if err != nil || !equal(got, made) || got.ID != id || got.Revision == "" || !equal(got.Value, v) {
			t.Errorf("got %+v, %v, want %+v", got, err, made)
		}
		if !got.Modified.IsZero() && (got.Modified.Before(before) || got.Modified.After(time.Now().Add(time.Second))) {
			t.Errorf("it was modified at %v", got.Modified)
		}
		v.Count, v.Tags = 2, []string{}
		made = put(t, s, id, v, made.Revision)
	}
	if _, err := other.Swap(t.Context(), id, nil, made.Revision); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), id)
	want(t, "a deleted item", err, fault.NotFound)
}

func revisions(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s := open(t)
	id := fresh()
	seen := map[string]bool{"": true}
	now := ""
	for n := range 20 {
		for old := range seen {
			if old != now {
				_, err := s.Swap(t.Context(), id, &Value{Count: -1}, old)
				want(t, "an old revision "+old, err, fault.Conflict)
			}
		}
		_, err := s.Swap(t.Context(), id, &Value{Count: -1}, "no revision")
		want(t, "no revision at all", err, fault.Conflict)
		if n%5 == 4 {
			if _, err := s.Swap(t.Context(), id, nil, now); err != nil {
				t.Fatal(err)
			}
			_, err := s.Swap(t.Context(), id, nil, now)
			want(t, "deleted twice", err, fault.Conflict)
			now = ""
			continue
		}
		if now = put(t, s, id, Value{}, now).Revision; seen[now] { // the same value each time
			t.Fatalf("the revision %s is used again", now)
		}
		seen[now] = true
	}
}

func race(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	const writers = 8
	stores := []collection.Store[Value]{open(t), open(t)}
	id := fresh()
	now := ""
	for round := range 10 {
		var mu sync.Mutex
		var all sync.WaitGroup
		var won []collection.Item[Value]
		for w := range writers {
			all.Go(func() {
				item, err := stores[w%2].Swap(t.Context(), id, &Value{Count: w}, now)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, item)
				} else if fault.KindOf(err) != fault.Conflict {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d of %d succeeded", round, len(won), writers)
		}
		if got, err := stores[1].Get(t.Context(), id); err != nil || !equal(got, won[0]) {
			t.Errorf("got %+v, %v, want what the winner stored, %+v", got, err, won[0])
		}
		now = won[0].Revision
	}
}

func updates(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	const writers, each = 4, 25
	id := fresh()
	var all sync.WaitGroup
	for range writers {
		s := open(t)
		all.Go(func() {
			for done := 0; done < each; {
				item, err := s.Get(t.Context(), id)
				if err != nil && fault.KindOf(err) != fault.NotFound {
					t.Error(err)
					return
				}
				item.Value.Count++
				switch _, err := s.Swap(t.Context(), id, &item.Value, item.Revision); {
				case err == nil:
					done++
				case fault.KindOf(err) != fault.Conflict:
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got, err := open(t).Get(t.Context(), id); err != nil || got.Value.Count != writers*each {
		t.Errorf("got %d, %v, want %d", got.Value.Count, err, writers*each)
	}
}

func lists(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s := open(t)
	prefix := fresh() + "."
	var made []collection.Item[Value]
	for _, name := range []string{"c", "a", "b", "ä", "B", "a-", "a.b", "a~", "10", "9", "gone"} {
		made = append(made, put(t, s, prefix+name, Value{Text: name}, ""))
	}
	if _, err := s.Swap(t.Context(), prefix+"gone", nil, made[len(made)-1].Revision); err != nil {
		t.Fatal(err)
	}
	made = made[:len(made)-1]
	slices.SortFunc(made, func(a, b collection.Item[Value]) int { return cmp.Compare(a.ID, b.ID) })
	for _, limit := range []int{1, 3, 9, 10, 1000} {
		var got []collection.Item[Value]
		for after := prefix; ; after = got[len(got)-1].ID {
			page, err := open(t).List(t.Context(), after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("got %d items of at most %d, %v", len(page), limit, err)
			}
			got = append(got, page...)
			if len(page) < limit || !strings.HasPrefix(page[len(page)-1].ID, prefix) {
				break
			}
		}
		got = slices.DeleteFunc(got, func(i collection.Item[Value]) bool { return !strings.HasPrefix(i.ID, prefix) })
		if diff := gocmp.Diff(made, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%d at a time: %s", limit, diff)
		}
	}
	if first, err := s.List(t.Context(), "", 1); err != nil || len(first) != 1 || first[0].ID > made[0].ID {
		t.Errorf("the first of all: %+v, %v", first, err)
	}
	if none, err := s.List(t.Context(), "\U0010FFFF", 10); err != nil || len(none) != 0 {
		t.Errorf("after the last: %+v, %v", none, err)
	}
}

func ids(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s := open(t)
	for _, id := range []string{
		"a b", "a@b.c", "..a", "=41", "%41", "ünï", "A", "a*>", "'\"\\", "\U0001F600", strings.Repeat("ö", collection.MaxID/2-20),
	} {
		id = fresh() + id
		made := put(t, s, id, Value{Text: id}, "")
		if got, err := s.Get(t.Context(), id); err != nil || !equal(got, made) {
			t.Errorf("%q: got %+v, %v", id, got, err)
		}
		if got, err := s.List(t.Context(), id[:len(id)-1], 1); err != nil || len(got) != 1 || got[0].ID != id {
			t.Errorf("%q: listed as %+v, %v", id, got, err)
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "\xff", "a\nb", strings.Repeat("a", collection.MaxID+1)} {
		_, err := s.Get(t.Context(), id)
		want(t, fmt.Sprintf("Get %.20q", id), err, fault.Invalid)
		_, err = s.Swap(t.Context(), id, &Value{}, "")
		want(t, fmt.Sprintf("Swap %.20q", id), err, fault.Invalid)
	}
}

func memory(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s := open(t)
	id := fresh()
	v := Value{Tags: []string{"mine"}}
	if _, err := s.Swap(t.Context(), id, &v, ""); err != nil {
		t.Fatal(err)
	}
	v.Tags[0] = "changed"
	for range 2 {
		got, err := s.Get(t.Context(), id)
		if err != nil || got.Value.Tags[0] != "mine" {
			t.Fatalf("got %v, %v", got.Value.Tags, err)
		}
		got.Value.Tags[0] = "changed"
	}
}

func wrong(t *testing.T, open func(*testing.T) collection.Store[Value]) {
	s := open(t)
	id := fresh()
	made := put(t, s, id, Value{Text: "good"}, "")
	_, err := s.Swap(t.Context(), id, nil, "")
	want(t, "deleted without a revision", err, fault.Invalid)
	_, err = s.Swap(t.Context(), id, &Value{Text: "\xff"}, made.Revision)
	want(t, "a text that is not UTF-8", err, fault.Invalid)
	if got, err := s.Get(t.Context(), id); err != nil || !equal(got, made) {
		t.Errorf("got %+v, %v, want %+v", got, err, made)
	}
	if none, err := s.List(t.Context(), "", 0); err != nil || len(none) != 0 {
		t.Errorf("none at all: %v, %v", none, err)
	}
}
