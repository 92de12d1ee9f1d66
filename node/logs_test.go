//go:build unix

package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/roster"
)

// logged makes a node's home whose log has the lines of every step-th of n milliseconds.
func logged(t *testing.T, began time.Time, first, step, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, began, first, step, n)
	return dir
}

// write adds lines to the log of a home.
func write(t *testing.T, dir string, began time.Time, first, step, n int) {
	t.Helper()
	h, err := home.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := logs.Open(h.Logs(), &logs.Options{SegmentBytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := first; i < n; i += step {
		one := logs.Line{Time: began.Add(time.Duration(i) * time.Millisecond), Name: "crunch", Worker: "crunch.1.1", Stream: "stdout", Text: fmt.Sprint("line ", i)}
		if i%100 == 0 {
			one.Text = fmt.Sprintf("2026-11-21T13:28:32.162 & <00000010>crunch - n=%d", i)
		}
		if i%7 == 0 {
			one.Name, one.Worker = "crunchy", "crunchy.1.1"
		}
		if err := s.Append(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// The logs of several nodes are one, in order of time, however long they are.
func TestLogs_OfTwoNodesAreInOrderOfTime(t *testing.T) {
	t.Parallel()
	const n = 6000
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	one, _ := start(t, node.Options{Home: logged(t, began, 0, 3, n)})
	two, err := node.Start(t.Context(), node.Options{Home: logged(t, began, 1, 3, n), URL: one.URL(), Key: one.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { two.Stop() })
	f, ctx := newCrew(t, one).f, soon(t)
	at := func(i int) time.Time { return began.Add(time.Duration(i) * time.Millisecond) }
	read := func(q roster.LogQuery) (got []int) {
		t.Helper()
		err := f.ReadLogs(ctx, 2, q, func(l roster.LogLine) error {
			i := int(l.Time.Sub(began) / time.Millisecond)
			if want := []string{one.ID(), two.ID()}[i%3]; l.Node != want {
				t.Fatalf("line %d is of node %s, want %s", i, l.Node, want)
			}
			got = append(got, i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := func(keep func(i int) bool) (all []int) {
		for i := range n {
			if i%3 < 2 && keep(i) {
				all = append(all, i)
			}
		}
		return all
	}
	for what, c := range map[string]struct {
		q    roster.LogQuery
		keep func(i int) bool
	}{
		"all":       {roster.LogQuery{}, func(int) bool { return true }},
		"a window":  {roster.LogQuery{Since: at(1000), Until: at(2000)}, func(i int) bool { return i >= 1000 && i < 2000 }},
		"of a name": {roster.LogQuery{Of: []string{"crunch"}}, func(i int) bool { return i%7 > 0 }},
		"of others": {roster.LogQuery{Of: []string{"crunchy", "nobody"}}, func(i int) bool { return i%7 == 0 }},
		"matching":  {roster.LogQuery{Grep: "^line .*77$"}, func(i int) bool { return i%100 == 77 }},
		"samples":   {roster.LogQuery{Samples: true}, func(i int) bool { return i%100 == 0 }},
	} {
		if got := read(c.q); !slices.Equal(got, want(c.keep)) {
			t.Errorf("%s: got %d lines, want %d", what, len(got), len(want(c.keep)))
		}
	}
	lone := 0
	if err := f.ReadLogs(ctx, 1, roster.LogQuery{Node: two.ID()}, func(roster.LogLine) error { lone++; return nil }); err != nil || lone != n/3 {
		t.Errorf("one node: %d lines, %v", lone, err)
	}
	newest, err := f.LogLines(ctx, 2, roster.LogQuery{Count: 10, Until: at(3000)})
	if err != nil || len(newest) != 10 || newest[9].Text != "line 2998" || newest[0].Text != "line 2985" {
		t.Errorf("the newest are %v, %v", newest, err)
	}
	enough := errors.New("enough")
	if err := f.ReadLogs(ctx, 2, roster.LogQuery{}, func(roster.LogLine) error { return enough }); err != enough {
		t.Errorf("got %v, want the caller's error", err)
	}
	if err := f.ReadLogs(ctx, 2, roster.LogQuery{Grep: "("}, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want what is wrong", err)
	}
	two.Kill()
	lines := 0
	err = f.ReadLogs(ctx, 1, roster.LogQuery{}, func(roster.LogLine) error { lines++; return nil })
	if err != nil || lines != n/3 {
		t.Errorf("of the node that is left: %d lines, %v", lines, err)
	}
}

// Who reads while a node goes away is told, and does not take half of it for the whole.
func TestLogs_ANodeThatGoesAwayIsMissed(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour)
	one, _ := start(t, node.Options{Home: logged(t, began, 0, 3, 10)})
	two, err := node.Start(t.Context(), node.Options{Home: logged(t, began, 1, 3, 6000), URL: one.URL(), Key: one.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { two.Stop() })
	gone := false
	err = newCrew(t, one).f.ReadLogs(soon(t), 2, roster.LogQuery{}, func(l roster.LogLine) error {
		if !gone {
			gone = true
			two.Kill()
		}
		return nil
	})
	if fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
}

// A node says at once that it searches, so that it is waited for.
func TestLogs_WhoSearchesSaysSo(t *testing.T) {
	t.Parallel()
	one, _ := start(t, node.Options{Home: logged(t, time.Now().Add(-time.Hour), 0, 1, 10)})
	b := newCrew(t, one).f.Bus()
	inbox := b.Inbox()
	heard := make(chan roster.LogChunk, 10)
	sub, err := b.Subscribe(t.Context(), inbox, "", func(m bus.Message) {
		var c roster.LogChunk
		if err := json.Unmarshal(m.Data, &c); err != nil {
			t.Error(err)
		}
		heard <- c
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := b.Send(bus.Message{Subject: roster.SubjectLogs, Reply: inbox, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if c := <-heard; c.Node != one.ID() || c.End || len(c.Lines) > 0 {
		t.Errorf("the first answer is %+v, want that it searches", c)
	}
	for c := range heard {
		if c.End {
			break
		}
	}
}

// Who follows goes on where he was when a node is back, though lines came meanwhile: each comes once.
func TestLogs_FollowingGoesOnWithANodeThatIsBack(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	dir := logged(t, began, 0, 1, 10)
	one, _ := start(t, node.Options{})
	begin := func() *node.Node {
		n, err := node.Start(t.Context(), node.Options{Home: dir, URL: one.URL(), Key: one.KeyText()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Kill() })
		return n
	}
	two := begin()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	seen, news := make(chan string, 100), make(chan bool, 10)
	var following sync.WaitGroup
	following.Go(func() {
		w := fleet.LogFollower{
			Query: roster.LogQuery{Node: two.ID()},
			Show:  func(l roster.LogLine) error { seen <- l.Text; return nil },
			Tell:  func(_ string, back bool) { news <- back },
		}
		if err := w.Run(ctx, newCrew(t, one).f); fault.KindOf(err) != fault.Canceled {
			t.Error(err)
		}
	})
	defer following.Wait()
	defer cancel()
	expect := func(first, n int) {
		t.Helper()
		for i := first; i < n; i++ {
			if got := <-seen; i%100 > 0 && got != fmt.Sprint("line ", i) {
				t.Fatalf("got %q, want line %d", got, i)
			}
		}
	}
	expect(0, 10)
	for round := 1; round <= 2; round++ {
		two.Kill()
		if <-news {
			t.Fatal("it is back, and was not away")
		}
		write(t, dir, began, 10*round, 1, 10*round+10)
		two = begin()
		if !<-news {
			t.Fatal("it is away again")
		}
		expect(10*round, 10*round+10)
	}
	select {
	case text := <-seen:
		t.Errorf("then came %q", text)
	default:
	}
}

// A node that joins is followed too: what it has of the time since, and what comes.
func TestLogs_FollowingGoesOnWithANodeThatJoins(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	one, _ := start(t, node.Options{Home: logged(t, began, 4, 1, 6)})
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	seen := make(chan roster.LogLine, 100)
	var following sync.WaitGroup
	following.Go(func() {
		w := fleet.LogFollower{
			Query: roster.LogQuery{Since: began.Add(5 * time.Millisecond), Grep: "^line"},
			Show:  func(l roster.LogLine) error { seen <- l; return nil },
			Tell:  func(id string, _ bool) { t.Errorf("node %s was away", id) },
		}
		if err := w.Run(ctx, newCrew(t, one).f); fault.KindOf(err) != fault.Canceled {
			t.Error(err)
		}
	})
	defer following.Wait()
	defer cancel()
	next := func() (l roster.LogLine) {
		t.Helper()
		select {
		case l = <-seen:
		case <-ctx.Done():
			t.Fatal("no line came")
		}
		return l
	}
	if l := next(); l.Text != "line 5" {
		t.Fatalf("got %q, want what the first node has", l.Text)
	}
	two, err := node.Start(t.Context(), node.Options{Home: logged(t, began, 0, 1, 10), URL: one.URL(), Key: one.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { two.Kill() })
	for i := 5; i < 10; i++ {
		if l := next(); l.Node != two.ID() || l.Text != fmt.Sprint("line ", i) {
			t.Fatalf("got %q of %s, want line %d", l.Text, l.Node, i)
		}
	}
}
