package register

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Bucket is the name of the key-value store in which a fleet keeps its registers.
const Bucket = "become_registers"

const (
	// storedWithin bounds one trip to the bus.
	storedWithin = 10 * time.Second
	// pauseMost is the longest pause after somebody else was faster.
	pauseMost = 32 * time.Millisecond
)

var errClosed = errors.New("the register was closed")

// Stored is a register in a key-value store: one for all that open the same key of it, wherever they are. The
// record is the value's decimal digits; no record is 0.
//
// Every batch is one conditional write of the store: the value that the operations make, on condition that the
// record has not changed since its revision was read. When nothing would change the same value is written all
// the same: only a write that the store accepts proves that what was read was still true. A batch
// therefore costs one round trip while nobody else writes, and two more for each time that somebody was faster.
type Stored struct {
	*combiner
	kv  bus.KV
	key string

	// What the record is believed to be. Only the trip under way uses it.
	known    bool
	value    Number
	revision uint64
}

// NewStored returns the register under a key. It asks the store for nothing yet.
func NewStored(kv bus.KV, key string) *Stored {
	s := &Stored{kv: kv, key: key}
	s.combiner = newCombiner(s.swap)
	return s
}

// Close ends calls under way, of which nobody knows then what became, and waits for them. It leaves
// the store open.
func (s *Stored) Close() error {
	s.close()
	return nil
}

func (s *Stored) swap(life context.Context, ops []Op) (Number, error) {
	ctx, cancel := context.WithTimeout(life, storedWithin)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, pauseMost) {
		if err := s.read(ctx); err != nil {
			return Number{}, err
		}
		present, next := s.value, after(s.value, ops)
		revision, err := s.kv.Swap(ctx, s.key, next.Append(nil), s.revision)
		if err == nil {
			s.value, s.revision = next, revision
			return present, nil
		}
		s.known = false
		if fault.KindOf(err) != fault.Conflict {
			return Number{}, fault.New(fault.KindOf(err), opSwap, s.key, err)
		}
		select {
		case <-time.After(rand.N(pause)): // the others go on meanwhile
		case <-ctx.Done():
			return Number{}, fault.Text(fault.Busy, opSwap, s.key, "others were faster, again and again")
		}
	}
}

// read looks at the record, unless it is known. What it finds may be outdated: see swap.
func (s *Stored) read(ctx context.Context) error {
	if s.known {
		return nil
	}
	e, err := s.kv.Get(ctx, s.key)
	switch {
	case err == nil:
		if s.value, err = Parse(string(e.Value)); err != nil || s.value.long() > MaxDigits {
			return fault.Text(fault.Internal, "read register", s.key, "its record is no number")
		}
		s.revision = e.Revision
	case fault.KindOf(err) == fault.NotFound:
		s.value, s.revision = Number{}, 0
	default:
		return fault.New(fault.KindOf(err), "read register", s.key, err)
	}
	s.known = true
	return nil
}
