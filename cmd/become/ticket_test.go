package main

import (
	"testing"
	"time"
)

func TestExpiry_IsNoEarlierThanWanted(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	for lasts, want := range map[time.Duration]string{
		time.Nanosecond: "03:04:06", 399 * time.Millisecond: "03:04:06", 400 * time.Millisecond: "03:04:06", 500 * time.Millisecond: "03:04:07", time.Hour: "04:04:06",
	} {
		got := expiry(now, lasts)
		if got.Format(time.TimeOnly) != want || got.Before(now.Add(lasts)) || got.Nanosecond() != 0 {
			t.Errorf("%v: got %v, want %s", lasts, got, want)
		}
	}
	whole := now.Truncate(time.Second)
	if got := expiry(whole, time.Second); !got.Equal(whole.Add(time.Second)) {
		t.Errorf("got %v", got)
	}
}
