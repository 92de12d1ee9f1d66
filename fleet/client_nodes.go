package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// How long to wait for the answers of nodes, of which nobody knows the number.
const (
	// firstAnswer is for the first one: nodes answer at once, or are not there.
	firstAnswer = 3 * time.Second
	// quietAtLeast and quietAtMost bound the silence that ends the gathering; between them it is
	// four times what the first answer took.
	quietAtLeast = 100 * time.Millisecond
	quietAtMost  = 500 * time.Millisecond
)

// verdict is what an answer means for those that are still awaited.
type verdict int

const (
	others     verdict = iota // there may be more nodes: a silence ends it
	awaited                   // a node that is known has not begun: only a long silence ends it
	unfinished                // who has begun is not done: a long silence ends it, as an error
	enough                    // all have answered
)

// gather asks every node and calls hear with each answer, one at a time, until it says that it is
// enough, or nobody has said anything for a while. fault.Lost when nobody answers, or who has begun does not go on.
func (f *Fleet) gather(ctx context.Context, subject string, request any, hear func(bus.Message) verdict) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	answers := make(chan bus.Message, 64)
	over := make(chan struct{})
	defer close(over)
	inbox := f.bus.Inbox()
	sub, err := f.bus.Subscribe(ctx, inbox, "", func(m bus.Message) {
		select {
		case answers <- m:
		case <-over:
		}
	})
	if err != nil {
		return fault.New(fault.KindOf(err), "ask the nodes", "", err)
	}
	defer sub.Unsubscribe()
	asked := time.Now()
	if err := f.bus.Send(bus.Message{Subject: subject, Reply: inbox, Data: data}); err != nil {
		return err
	}
	quiet, last := time.Duration(0), others
	timer := time.NewTimer(firstAnswer)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return fault.New(fault.KindOf(ctx.Err()), "ask the nodes", "", context.Cause(ctx))
		case <-timer.C:
			switch {
			case quiet == 0:
				return fault.Text(fault.Lost, "ask the nodes", "", "no node of the fleet answers").WithHint("start one with: become up")
			case last == unfinished:
				return fault.Text(fault.Lost, "ask the nodes", "", "a node began to answer, and says nothing any more").WithHint("become nodes lists those that are there")
			}
			return nil
		case m := <-answers:
			if last = hear(m); last == enough {
				return nil
			}
			if quiet == 0 {
				quiet = min(max(4*time.Since(asked), quietAtLeast), quietAtMost)
			}
			if last == unfinished || last == awaited {
				timer.Reset(firstAnswer)
			} else {
				timer.Reset(quiet)
			}
		}
	}
}

// after is the verdict when n have answered, of as many as are known; 0: nobody knows.
func after(n, known int) verdict {
	if known > 0 && n >= known {
		return enough
	}
	return others
}

// Ask sends a question, as JSON, to every node and calls hear with each answer, one at a time, until known of
// them have answered, if known is above 0, or nobody has said anything for a while. fault.Lost
// when nobody answers.
func (f *Fleet) Ask(ctx context.Context, subject string, question any, known int, hear func(answer []byte)) error {
	n := 0
	return f.gather(ctx, subject, question, func(m bus.Message) verdict {
		hear(m.Data)
		n++
		return after(n, known)
	})
}

// Nodes returns the state of every node that answers in time, in order of
// their ids. With known above 0 it returns as soon as so many have answered.
func (f *Fleet) Nodes(ctx context.Context, known int) ([]roster.Status, error) {
	var all []roster.Status
	err := f.gather(ctx, roster.SubjectStatus, struct{}{}, func(m bus.Message) verdict {
		var s roster.Status
		if json.Unmarshal(m.Data, &s) == nil {
			all = append(all, s)
		}
		return after(len(all), known)
	})
	slices.SortFunc(all, func(a, b roster.Status) int { return strings.Compare(a.Node, b.Node) })
	return all, err
}

// Warm returns when a worker of the bundle is ready. The error is what the
// nodes say when none of them will run it, the worker's own when it dies again and again
// before it is ready, and fault.Deadline after within.
func (f *Fleet) Warm(ctx context.Context, digest string, within time.Duration) error {
	w := warming{asked: time.Now(), refused: map[string]roster.Offer{}, willing: map[string]bool{}}
	events := make(chan bus.Message, 64)
	over := make(chan struct{})
	defer close(over)
	inbox := f.bus.Inbox()
	for _, subject := range []string{inbox, roster.SubjectUp + digest, roster.SubjectDown + digest} {
		sub, err := f.bus.Subscribe(ctx, subject, "", func(m bus.Message) {
			select {
			case events <- m:
			case <-over:
			}
		})
		if err != nil {
			return err
		}
		defer sub.Unsubscribe()
	}
	want, err := json.Marshal(roster.Want{Digest: digest, Boss: f.id})
	if err != nil {
		return err
	}
	ask := time.NewTicker(200 * time.Millisecond)
	defer ask.Stop()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		if err := f.bus.Send(bus.Message{Subject: roster.SubjectWant, Reply: inbox, Data: want}); err != nil {
			return err
		}
		for again := false; !again; {
			select {
			case m := <-events:
				ready, err := w.hear(m, inbox, digest)
				if ready || err != nil {
					return err
				}
			case <-ask.C:
				if err := w.judge(digest); err != nil {
					return err
				}
				again = true
			case <-late.C:
				return fault.Text(fault.Deadline, "start bundle", digest[:12], "no worker was ready within "+within.String()+w.last())
			case <-ctx.Done():
				return fault.New(fault.KindOf(ctx.Err()), "start bundle", digest[:12], context.Cause(ctx))
			}
		}
	}
}

// warming is what is known of a bundle's start.
type warming struct {
	asked   time.Time
	refused map[string]roster.Offer
	willing map[string]bool
	deaths  int
	reason  string
}

// deathsEnough is how many processes may die before they are ready until the
// bundle is to blame.
const deathsEnough = 3

func (w *warming) hear(m bus.Message, inbox, digest string) (ready bool, err error) {
	switch m.Subject {
	case roster.SubjectUp + digest:
		return true, nil
	case roster.SubjectDown + digest:
		var d roster.Down
		if json.Unmarshal(m.Data, &d) == nil && d.Died {
			w.deaths++
			w.reason = d.Reason
		}
		if w.deaths >= deathsEnough {
			return false, fault.Text(fault.Invalid, "start bundle", digest[:12], w.reason)
		}
		return false, nil
	}
	var o roster.Offer
	if json.Unmarshal(m.Data, &o) != nil || o.Node == "" {
		return false, nil
	}
	if o.Refused != "" {
		w.refused[o.Node] = o
		delete(w.willing, o.Node)
		return false, nil
	}
	delete(w.refused, o.Node)
	w.willing[o.Node] = true
	return len(o.Workers) > 0, nil
}

// judge says why there is no hope, if there is none.
func (w *warming) judge(digest string) error {
	switch {
	case len(w.willing) > 0:
		return nil
	case len(w.refused) == 0:
		if time.Since(w.asked) < firstAnswer {
			return nil
		}
		return fault.Text(fault.Lost, "start bundle", digest[:12], "no node of the fleet answers").WithHint("start one with: become up")
	}
	var texts []string
	kind := fault.Invalid
	for _, o := range w.refused {
		text := o.Refused
		if o.WrongPlatform {
			text += fmt.Sprintf(": node %s is %s", o.Node, o.Platform)
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		kind = fault.ParseKind(o.Kind)
		if o.WrongPlatform {
			kind = fault.NotFound
		}
	}
	slices.Sort(texts)
	return fault.Text(kind, "start bundle", digest[:12], strings.Join(texts, "; "))
}

func (w *warming) last() string {
	if w.reason == "" {
		return ""
	}
	return ", last: " + w.reason
}
