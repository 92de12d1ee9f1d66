package main

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// span is when a task ran.
type span struct{ Began, Ended time.Time }

// nap takes as long as it is told and says when it did.
var nap = become.Func("nap", func(_ context.Context, d time.Duration) (span, error) {
	s := span{Began: time.Now()}
	time.Sleep(d)
	s.Ended = time.Now()
	return s, nil
})

// slots is how many tasks the fleet of this measure runs at once.
const slots = 8

// mixedLengths runs n tasks of 1 ms to 1 s, their lengths spread evenly over the
// orders of magnitude and in an order that is random but always the same. The value is the time
// from the first to the last, divided by the least that any schedule could
// take. More: the same of a schedule that knows nothing of the lengths and gives each task to
// a free slot at once (greedy), and the longest time in ms that a slot was free while tasks waited (idle).
func mixedLengths(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	random := rand.New(rand.NewPCG(1, 2))
	lengths := make([]time.Duration, n)
	for i := range lengths {
		lengths[i] = time.Duration(math.Pow(1000, random.Float64()) * float64(time.Millisecond))
	}
	began := time.Now()
	futures := make([]*become.Future[span], n)
	for i, d := range lengths {
		futures[i] = nap.Go(ctx, fleet, d)
	}
	spans, err := become.Gather(ctx, futures...)
	if err != nil {
		return rig.Answer{}, err
	}
	took := time.Since(began)
	least := leastMakespan(lengths)
	return rig.Answer{Value: took.Seconds() / least.Seconds(), More: map[string]float64{
		"greedy": greedyMakespan(lengths).Seconds() / least.Seconds(),
		"idle":   float64(longestIdle(spans)) / float64(time.Millisecond),
		"least":  least.Seconds(),
	}}, nil
}

// leastMakespan is a time that no schedule can beat.
func leastMakespan(lengths []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range lengths {
		sum += d
	}
	return max(sum/slots, slices.Max(lengths))
}

// greedyMakespan is when the last task ends if each goes to the slot that is
// free first.
func greedyMakespan(lengths []time.Duration) time.Duration {
	var free [slots]time.Duration
	for _, d := range lengths {
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		free[first] += d
	}
	return slices.Max(free[:])
}

// longestIdle is the longest time that a slot was free while a task waited.
func longestIdle(spans []span) time.Duration {
	type change struct {
		at    time.Time
		tasks int
	}
	var changes []change
	lastStart := spans[0].Began
	for _, s := range spans {
		changes = append(changes, change{s.Began, 1}, change{s.Ended, -1})
		if s.Began.After(lastStart) {
			lastStart = s.Began
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	var longest time.Duration
	running := 0
	for i, c := range changes {
		running += c.tasks
		if i+1 < len(changes) && running < slots && i >= slots && c.at.Before(lastStart) {
			longest = max(longest, changes[i+1].at.Sub(c.at))
		}
	}
	return longest
}
