package manners

import (
	"fmt"
	"math"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// None in any field means that there is no limit, whatever the program wishes.
const None = -1

// Manners are the limits of one process of a service. In each field zero means the default, and
// a negative number none.
type Manners struct {
	// MaxConns is how many connections are open at once; the others wait in the kernel's queue.
	// Default: any number.
	MaxConns int `json:"max_conns,omitempty"`
	// AcceptRate is how many connections are taken in a second; the others wait in the kernel's queue.
	// Default: as many as come.
	AcceptRate float64 `json:"accept_rate,omitempty"`
	// AcceptBurst is how many may come at once after a quiet time. Default: what AcceptRate allows in
	// a second, at least one.
	AcceptBurst int `json:"accept_burst,omitempty"`
	// IdleMS is how long a connection may wait. Of HTTP: for its next request, by default 2 min. Of others:
	// the service reads or writes, and no byte moves in either direction; by default for ever. Unit: milliseconds.
	IdleMS int64 `json:"idle_ms,omitempty"`
	// ReadMS bounds the reading of a whole HTTP request, or one Read of another connection. WriteMS is the
	// same for the answer, or one Write. Default: none. Unit: milliseconds.
	ReadMS  int64 `json:"read_ms,omitempty"`
	WriteMS int64 `json:"write_ms,omitempty"`

	// The rest is for HTTP only.

	// HeaderMS bounds the reading of a request's header. Default 10 s. Unit: milliseconds.
	HeaderMS int64 `json:"header_ms,omitempty"`
	// MaxHeader is how long a request's header may be; a longer one is answered with 431. Default 1 MiB,
	// and there is no such thing as none. Unit: bytes.
	MaxHeader int64 `json:"max_header,omitempty"`
	// MaxBody is how long a request's body may be: one that says it is longer is answered with 413, one that turns
	// out to be ends with *http.MaxBytesError for the handler that reads it. Default: none. Unit: bytes.
	MaxBody int64 `json:"max_body,omitempty"`
}

// What a field may be at most.
const (
	maxMS     = int64(math.MaxInt64 / time.Millisecond)
	maxHeader = 1 << 30
)

// Check says what cannot be, as fault.Invalid.
func (m Manners) Check() error {
	text := ""
	switch {
	case math.IsNaN(m.AcceptRate) || math.IsInf(m.AcceptRate, 0):
		text = fmt.Sprintf("an accept rate of %v is none", m.AcceptRate)
	case m.AcceptBurst > 0 && m.AcceptRate <= 0:
		text = "an accept burst needs an accept rate"
	case max(m.IdleMS, m.ReadMS, m.WriteMS, m.HeaderMS) > maxMS:
		text = "a time is too long"
	case m.MaxHeader < 0:
		text = "a header without a limit takes all memory"
	case m.MaxHeader > maxHeader:
		text = fmt.Sprintf("a header of %d bytes is too long, the limit is %d", m.MaxHeader, maxHeader)
	default:
		return nil
	}
	return fault.Text(fault.Invalid, "set limits", "", text)
}

// Over returns m, and from base what m says nothing about.
func (m Manners) Over(base Manners) Manners {
	return Manners{
		MaxConns:    or(m.MaxConns, base.MaxConns),
		AcceptRate:  or(m.AcceptRate, base.AcceptRate),
		AcceptBurst: m.burst(base),
		IdleMS:      or(m.IdleMS, base.IdleMS),
		ReadMS:      or(m.ReadMS, base.ReadMS),
		WriteMS:     or(m.WriteMS, base.WriteMS),
		HeaderMS:    or(m.HeaderMS, base.HeaderMS),
		MaxHeader:   or(m.MaxHeader, base.MaxHeader),
		MaxBody:     or(m.MaxBody, base.MaxBody),
	}
}

// burst goes with the rate that it was chosen for.
func (m Manners) burst(base Manners) int {
	if m.AcceptRate != 0 {
		return m.AcceptBurst
	}
	return or(m.AcceptBurst, base.AcceptBurst)
}

func or[T int | int64 | float64](a, b T) T {
	if a != 0 {
		return a
	}
	return b
}

// Burst is AcceptBurst, or its default.
func (m Manners) Burst() int {
	if m.AcceptBurst > 0 {
		return m.AcceptBurst
	}
	return int(min(max(1, math.Ceil(m.AcceptRate)), math.MaxInt32))
}

// Within is one of the times, or usual if nothing is said. Zero is none.
func Within(ms int64, usual time.Duration) time.Duration {
	switch {
	case ms == 0:
		return usual
	case ms < 0:
		return 0
	}
	return time.Duration(min(ms, maxMS)) * time.Millisecond
}

// MS is a time as the fields have it: negative stays so, and no time becomes nothing.
func MS(d time.Duration) int64 {
	switch {
	case d < 0:
		return None
	case d == 0:
		return 0
	}
	return max(1, d.Milliseconds())
}
