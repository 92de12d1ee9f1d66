package task

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
)

// Budget is how long a pack may run before its worker returns the tasks not
// yet begun. Long enough that a pack of tiny tasks never meets it, short
// enough that nobody notices the wait.
const Budget = 4 * time.Millisecond

// Inline is the largest value that travels inside a frame; a larger one
// travels by reference. Unit: bytes.
const Inline = 256 << 10

// MaxTasks bounds a pack.
const MaxTasks = 4096

// Frame kinds: the first byte of a frame.
const (
	KindRun      = 'R'
	KindCancel   = 'C'
	KindDemand   = 'D'
	KindCredit   = 'c'
	KindOutcomes = 'O'
	KindProgress = 'P'
	KindPing     = '?' // a boss asks whether the worker is there; the frame is the kind alone
	KindPong     = '!' // it is
)

// maxMillis is the longest time that travels, 146 years. Unit: milliseconds.
const maxMillis = uint64(1<<62) / uint64(time.Millisecond)

var errFrame = errors.New("malformed frame")

// Late is the error of a task whose timeout is below zero, as what is left until a
// moment already past is: it does not even travel.
func Late(op, function string, timeout time.Duration) error {
	return fault.Text(fault.Deadline, op, function, fmt.Sprintf("its time was over %v before it began", -timeout))
}

// Kind returns a frame's kind byte, 0 for an empty frame.
func Kind(frame []byte) byte {
	if len(frame) == 0 {
		return 0
	}
	return frame[0]
}

// Pack is one or more tasks of one function, sent to a worker as one frame.
type Pack struct {
	ID       uint64 // unique per line
	Function string
	Format   engine.Format
	// Timeout of each task, 0 for none. It travels in whole milliseconds, rounded up.
	Timeout time.Duration
	// Origin says in whose behalf: a boss's id, without spaces. May be empty.
	Origin string
	// Place is what all its tasks are called from, in a trace. Zero: nobody knows.
	Place trace.Place
	Count int
	// Values holds the inputs as AppendValue wrote them, one after another.
	Values []byte
}

// AppendPack appends the head of a run frame; p.Values follows it in the frame.
func AppendPack(dst []byte, p *Pack) []byte {
	dst = append(dst, KindRun, byte(p.Format))
	dst = binary.AppendUvarint(dst, p.ID)
	dst = binary.AppendUvarint(dst, uint64((p.Timeout+time.Millisecond-1)/time.Millisecond))
	dst = AppendText(dst, p.Function)
	dst = appendOrigin(dst, p)
	return binary.AppendUvarint(dst, uint64(p.Count))
}

// DecodePack reads a run frame. Values is a part of frame.
func DecodePack(frame []byte) (p Pack, err error) {
	d := Fields{Rest: frame}
	if d.Byte() != KindRun {
		return p, errFrame
	}
	p.Format = engine.Format(d.Byte())
	if p.Format != engine.CBOR && p.Format != engine.JSON {
		return p, errFrame
	}
	p.ID = d.Uvarint(math.MaxUint64)
	p.Timeout = time.Duration(d.Uvarint(maxMillis)) * time.Millisecond
	p.Function = d.Text()
	p.Origin, p.Place = splitOrigin(d.Text())
	p.Count = int(d.Uvarint(MaxTasks))
	p.Values = d.Rest
	if p.Count == 0 {
		return p, errFrame
	}
	for range p.Count {
		d.Value()
	}
	if d.Bad || len(d.Rest) != 0 {
		return p, errFrame
	}
	return p, nil
}

// Value is an input or an answer: the bytes, or a reference to them.
type Value struct {
	Data []byte
	Ref  bool // Data is the name of a blob
}

// AppendValue appends one value.
func AppendValue(dst []byte, v Value) []byte {
	n := uint64(len(v.Data)) << 1
	if v.Ref {
		n |= 1
	}
	dst = binary.AppendUvarint(dst, n)
	return append(dst, v.Data...)
}

// NextValue takes the first value off b, which DecodePack has checked.
func NextValue(b []byte) (Value, []byte) {
	d := Fields{Rest: b}
	v := d.Value()
	return v, d.Rest
}

// Status says how a task ended.
type Status byte

const (
	OK     Status = iota // Value holds the answer
	OKRef                // Value names the blob that holds the answer
	Failed               // Err; not tried again unless the task's own options say so
	Retry                // Err, and the function asks to be tried again After
	GaveUp               // Err, and the function asks not to be tried again
	statuses
)

// Outcome is how one task ended.
type Outcome struct {
	Status Status
	Value  []byte
	After  time.Duration // with Retry
	Err    error         // with Failed, Retry, GaveUp
}

// Outcomes is a frame of consecutive outcomes of one pack.
type Outcomes struct {
	Pack  uint64
	First int // index of the first outcome's task in the pack
	Count int
	// Final: nothing more comes for this pack.
	Final bool
	// Limit: tasks with this index and beyond were returned, not run. With Final
	// unset more outcomes come for tasks below it.
	Limit int
	// Nanos is how long the tasks of these outcomes ran together.
	Nanos uint64
	// Items holds the outcomes as AppendOutcome wrote them.
	Items []byte
}

// AppendOutcomes appends the head of an outcomes frame; o.Items follows it in
// the frame.
func AppendOutcomes(dst []byte, o *Outcomes) []byte {
	flags := byte(0)
	if o.Final {
		flags = 1
	}
	dst = append(dst, KindOutcomes, flags)
	dst = binary.AppendUvarint(dst, o.Pack)
	dst = binary.AppendUvarint(dst, uint64(o.First))
	dst = binary.AppendUvarint(dst, uint64(o.Count))
	dst = binary.AppendUvarint(dst, uint64(o.Limit))
	return binary.AppendUvarint(dst, o.Nanos)
}

// DecodeOutcomes reads an outcomes frame. Items is a part of frame.
func DecodeOutcomes(frame []byte) (o Outcomes, err error) {
	d := Fields{Rest: frame}
	if d.Byte() != KindOutcomes {
		return o, errFrame
	}
	o.Final = d.Byte()&1 != 0
	o.Pack = d.Uvarint(math.MaxUint64)
	o.First, o.Count, o.Limit = int(d.Uvarint(MaxTasks)), int(d.Uvarint(MaxTasks)), int(d.Uvarint(MaxTasks))
	o.Nanos = d.Uvarint(math.MaxUint64)
	if d.Bad || o.First+o.Count > o.Limit {
		return o, errFrame
	}
	o.Items = d.Rest
	return o, nil
}

// AppendOutcome appends one outcome.
func AppendOutcome(dst []byte, o Outcome) []byte {
	switch o.Status {
	case OK, OKRef:
		return AppendAnswer(dst, o.Status, o.Value)
	}
	dst = append(dst, byte(o.Status))
	if o.Status == Retry {
		dst = binary.AppendUvarint(dst, uint64(max(0, o.After/time.Millisecond)))
	}
	return fault.Marshal(dst, o.Err)
}

// AppendAnswer appends an outcome that holds a value.
func AppendAnswer(dst []byte, status Status, value []byte) []byte {
	dst = append(dst, byte(status))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// NextOutcome takes the first outcome off b. Value is a part of b.
func NextOutcome(b []byte) (o Outcome, rest []byte, err error) {
	d := Fields{Rest: b}
	o.Status = Status(d.Byte())
	switch o.Status {
	case OK, OKRef:
		o.Value = d.Bytes()
		if d.Bad {
			return o, nil, errFrame
		}
		return o, d.Rest, nil
	case Retry:
		o.After = time.Duration(d.Uvarint(maxMillis)) * time.Millisecond
	case Failed, GaveUp:
	default:
		return o, nil, errFrame
	}
	if d.Bad {
		return o, nil, errFrame
	}
	o.Err, rest, err = fault.Unmarshal(d.Rest)
	if err == nil && o.Err == nil {
		err = errFrame
	}
	return o, rest, err
}

// AppendCancel appends a cancel frame for one task of a pack.
func AppendCancel(dst []byte, pack uint64, index int) []byte {
	dst = append(dst, KindCancel)
	dst = binary.AppendUvarint(dst, pack)
	return binary.AppendUvarint(dst, uint64(index))
}

// DecodeCancel reads a cancel frame.
func DecodeCancel(frame []byte) (pack uint64, index int, err error) {
	d := Fields{Rest: frame}
	if d.Byte() != KindCancel {
		return 0, 0, errFrame
	}
	pack = d.Uvarint(math.MaxUint64)
	index = int(d.Uvarint(MaxTasks))
	if d.Bad {
		return 0, 0, errFrame
	}
	return pack, index, nil
}

// AppendDemand appends a demand frame: the boss could use n packs at once.
func AppendDemand(dst []byte, n int) []byte { return appendCount(dst, KindDemand, n) }

// AppendCredit appends a credit frame: the boss may have n packs under way.
func AppendCredit(dst []byte, n int) []byte { return appendCount(dst, KindCredit, n) }

func appendCount(dst []byte, kind byte, n int) []byte {
	return binary.AppendUvarint(append(dst, kind), uint64(n))
}

// DecodeCount reads a demand or credit frame; counts beyond a million are
// taken as a million.
func DecodeCount(frame []byte) (int, error) {
	d := Fields{Rest: frame}
	d.Byte()
	n := d.Uvarint(math.MaxUint64)
	if d.Bad {
		return 0, errFrame
	}
	return int(min(n, 1_000_000)), nil
}

// AppendProgress appends a progress frame: what a running task reports to its
// boss, a value in the pack's format.
func AppendProgress(dst []byte, pack uint64, index int, value []byte) []byte {
	dst = append(dst, KindProgress)
	dst = binary.AppendUvarint(dst, pack)
	dst = binary.AppendUvarint(dst, uint64(index))
	return append(dst, value...)
}

// DecodeProgress reads a progress frame. value is a part of frame.
func DecodeProgress(frame []byte) (pack uint64, index int, value []byte, err error) {
	d := Fields{Rest: frame}
	if d.Byte() != KindProgress {
		return 0, 0, nil, errFrame
	}
	pack = d.Uvarint(math.MaxUint64)
	index = int(d.Uvarint(MaxTasks))
	if d.Bad {
		return 0, 0, nil, errFrame
	}
	return pack, index, d.Rest, nil
}
