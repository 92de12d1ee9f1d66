package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// older is a node of a version that knows of a query its Since, Count and Follow: nothing of names, patterns, ends and pages.
func older(t *testing.T, b bus.Bus, lines []roster.LogLine) {
	t.Helper()
	sub, err := b.Subscribe(t.Context(), roster.SubjectLogs, "", func(m bus.Message) {
		var q struct {
			Since  time.Time
			Count  int
			Follow bool
		}
		if err := json.Unmarshal(m.Data, &q); err != nil {
			t.Error(err)
		}
		if q.Count == 0 {
			q.Count = 1000
		}
		found := slices.DeleteFunc(slices.Clone(lines), func(l roster.LogLine) bool { return l.Time.Before(q.Since) })
		found = found[max(0, len(found)-q.Count):]
		say := func(c roster.LogChunk) {
			c.Node = "older"
			data, err := json.Marshal(c)
			if err != nil {
				t.Error(err)
			}
			b.Publish(m.Reply, data)
		}
		for part := range slices.Chunk(found, 3) {
			say(roster.LogChunk{Lines: part})
		}
		if !q.Follow {
			say(roster.LogChunk{End: true})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Unsubscribe() })
}

// What a node of an older version does not heed is heeded here: the answer of a fleet of several versions is right.
func TestLogs_OfANodeThatKnowsLess(t *testing.T) {
	began := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	at := func(i int) time.Time { return began.Add(time.Duration(i) * time.Second) }
	var lines []roster.LogLine
	for i := range 2000 {
		l := roster.LogLine{Time: at(i), Node: "older", Name: "crunch", Worker: "crunch.1.1", Text: fmt.Sprint("line ", i)}
		if i%2 == 1 {
			l.Name, l.Worker = "other", "other.1.1"
		}
		lines = append(lines, l)
	}
	for what, c := range map[string]struct {
		q    roster.LogQuery
		keep func(i int) bool
	}{
		"all":         {roster.LogQuery{}, func(int) bool { return true }},
		"of a name":   {roster.LogQuery{Of: []string{"other"}}, func(i int) bool { return i%2 == 1 }},
		"in a window": {roster.LogQuery{Since: at(1100), Until: at(1900)}, func(i int) bool { return i >= 1100 && i < 1900 }},
		"matching":    {roster.LogQuery{Grep: "77$"}, func(i int) bool { return i%100 == 77 }},
		"samples":     {roster.LogQuery{Samples: true}, func(int) bool { return false }},
	} {
		var want []string
		for i, l := range lines {
			if c.keep(i) {
				want = append(want, l.Text)
			}
		}
		for how, read := range reads() {
			synctest.Test(t, func(t *testing.T) {
				b := mem.New().Connect()
				defer b.Close()
				older(t, b, lines)
				got, err := read(t.Context(), &Fleet{bus: b}, c.q)
				want := want
				if how != "in pages" { // it says no more than its newest 1000
					got, want = got[max(0, len(got)-3):], want[max(0, len(want)-3):]
				}
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %s: got %d lines, %v, want %d", what, how, len(got), err, len(want))
				}
			})
		}
	}
}

// reads are the ways to read logs.
func reads() map[string]func(context.Context, *Fleet, roster.LogQuery) ([]string, error) {
	return map[string]func(context.Context, *Fleet, roster.LogQuery) ([]string, error){
		"in pages": func(ctx context.Context, f *Fleet, q roster.LogQuery) (got []string, err error) {
			err = f.ReadLogs(ctx, 0, q, func(l roster.LogLine) error { got = append(got, l.Text); return nil })
			return got, err
		},
		"the newest": func(ctx context.Context, f *Fleet, q roster.LogQuery) (got []string, err error) {
			q.Count = 3
			lines, err := f.LogLines(ctx, 0, q)
			for _, l := range lines {
				got = append(got, l.Text)
			}
			return got, err
		},
		"followed": func(ctx context.Context, f *Fleet, q roster.LogQuery) (got []string, err error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			w := LogFollower{Query: q, Show: func(l roster.LogLine) error { got = append(got, l.Text); return nil }}
			if err = w.Run(ctx, f); fault.KindOf(err) == fault.Deadline {
				err = nil
			}
			return got, err
		},
	}
}
