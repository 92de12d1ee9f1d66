package fleet

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// searches is a node that finds its line after a while, and says meanwhile that it searches.
func searches(t *testing.T, b bus.Bus, node string, says int, finds bool) {
	t.Helper()
	sub, err := b.Subscribe(t.Context(), roster.SubjectLogs, "", func(m bus.Message) {
		say := func(c roster.LogChunk) {
			c.Node = node
			data, err := json.Marshal(c)
			if err != nil {
				t.Error(err)
			}
			b.Publish(m.Reply, data)
		}
		go func() { // it ends with the bubble
			for range says {
				say(roster.LogChunk{})
				time.Sleep(roster.SearchSays)
			}
			if finds {
				say(roster.LogChunk{End: true, Lines: []roster.LogLine{{Node: node, Text: "found", Time: time.Now()}}})
			}
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Unsubscribe() })
}

func TestLogs_WhoSearchesIsWaitedFor(t *testing.T) {
	for name, read := range map[string]func(context.Context, *Fleet) (int, error){
		"all": func(ctx context.Context, f *Fleet) (int, error) {
			lines, err := f.LogLines(ctx, 0, roster.LogQuery{})
			return len(lines), err
		},
		"in pages": func(ctx context.Context, f *Fleet) (n int, err error) {
			err = f.ReadLogs(ctx, 0, roster.LogQuery{}, func(roster.LogLine) error { n++; return nil })
			return n, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mem.New().Connect()
				defer b.Close()
				searches(t, b, "quick", 0, true)
				searches(t, b, "slow", 60, true)
				if n, err := read(t.Context(), &Fleet{bus: b}); n != 2 || err != nil {
					t.Errorf("got %d lines, %v; want that of both nodes", n, err)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				b := mem.New().Connect()
				defer b.Close()
				searches(t, b, "quick", 0, true)
				searches(t, b, "dies", 3, false)
				if n, err := read(t.Context(), &Fleet{bus: b}); fault.KindOf(err) != fault.Lost {
					t.Errorf("got %d lines, %v; want lost", n, err)
				}
			})
		})
	}
}
