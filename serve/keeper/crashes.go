package keeper

import (
	"math/rand/v2"
	"time"
)

// crashes decides when the successor of a dead process may start.
type crashes struct {
	all    []time.Time // deaths within the last minute
	early  []time.Time // those in a row since a process was steady
	failed bool        // too many, and none was steady since
}

// add counts a death at now of a process that had been ready for so long, and returns how
// long its successor waits.
func (c *crashes) add(o *Options, now time.Time, ready time.Duration) time.Duration {
	c.all = append(recent(c.all, now), now)
	if ready >= o.Steady {
		c.early, c.failed = c.early[:0], false
	} else {
		c.early = append(recent(c.early, now), now)
	}
	if len(c.early) > o.MaxCrashes || len(c.all) > 10*o.MaxCrashes {
		c.failed = true
	}
	switch n := len(c.early); {
	case c.failed:
		return o.RetryFailed
	case n < 2:
		return 0
	default:
		return min(o.BackoffMost, o.BackoffFirst<<min(n-2, 20))
	}
}

// recent drops the times that are a minute old; the rest is in order.
func recent(times []time.Time, now time.Time) []time.Time {
	for i, t := range times {
		if now.Sub(t) < time.Minute {
			return append(times[:0], times[i:]...)
		}
	}
	return times[:0]
}

// jitter takes up to half off, so that processes which died together do not
// come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - rand.N(d/2+1)
}
