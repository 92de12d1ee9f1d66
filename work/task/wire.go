package task

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/universal-server/become/ground/fault"
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
)

var errFrame = errors.New("malformed frame")

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
	// Origin says in whose behalf: a boss's id and a trace context, for logs. May be empty.
	Origin string
	Count  int
	// Values holds the inputs as AppendValue wrote them, one after another.
	Values []byte
}

// AppendPack appends the head of a run frame; p.Values follows it in the frame.
func AppendPack(dst []byte, p *Pack) []byte {
	dst = append(dst, KindRun, byte(p.Format))
	dst = binary.AppendUvarint(dst, p.ID)
	dst = binary.AppendUvarint(dst, uint64((p.Timeout+time.Millisecond-1)/time.Millisecond))
	dst = appendString(dst, p.Function)
	dst = appendString(dst, p.Origin)
	return binary.AppendUvarint(dst, uint64(p.Count))
}

// DecodePack reads a run frame. Values is a part of frame.
func DecodePack(frame []byte) (p Pack, err error) {
	d := decoder{b: frame}
	if d.byte() != KindRun {
		return p, errFrame
	}
	p.Format = engine.Format(d.byte())
	if p.Format != engine.CBOR && p.Format != engine.JSON {
		return p, errFrame
	}
	p.ID = d.uvarint()
	ms := d.uvarint()
	if ms > uint64(1<<62)/uint64(time.Millisecond) {
		return p, errFrame
	}
	p.Timeout = time.Duration(ms) * time.Millisecond
	p.Function = string(d.bytes())
	p.Origin = string(d.bytes())
	n := d.uvarint()
	if d.bad || n == 0 || n > MaxTasks {
		return p, errFrame
	}
	p.Count = int(n)
	p.Values = d.b
	for range p.Count {
		d.value()
	}
	if d.bad || len(d.b) != 0 {
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
	d := decoder{b: b}
	v := d.value()
	return v, d.b
}

// TakeValue takes the first value off b.
func TakeValue(b []byte) (Value, []byte, error) {
	d := decoder{b: b}
	v := d.value()
	if d.bad {
		return Value{}, nil, errFrame
	}
	return v, d.b, nil
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
	d := decoder{b: frame}
	if d.byte() != KindOutcomes {
		return o, errFrame
	}
	o.Final = d.byte()&1 != 0
	o.Pack = d.uvarint()
	first, count, limit := d.uvarint(), d.uvarint(), d.uvarint()
	o.Nanos = d.uvarint()
	if d.bad || first > MaxTasks || count > MaxTasks || limit > MaxTasks || first+count > limit {
		return o, errFrame
	}
	o.First, o.Count, o.Limit = int(first), int(count), int(limit)
	o.Items = d.b
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
	d := decoder{b: b}
	o.Status = Status(d.byte())
	switch o.Status {
	case OK, OKRef:
		o.Value = d.bytes()
		if d.bad {
			return o, nil, errFrame
		}
		return o, d.b, nil
	case Retry:
		ms := d.uvarint()
		if ms > uint64(1<<62)/uint64(time.Millisecond) {
			return o, nil, errFrame
		}
		o.After = time.Duration(ms) * time.Millisecond
	case Failed, GaveUp:
	default:
		return o, nil, errFrame
	}
	if d.bad {
		return o, nil, errFrame
	}
	o.Err, rest, err = fault.Unmarshal(d.b)
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
	d := decoder{b: frame}
	if d.byte() != KindCancel {
		return 0, 0, errFrame
	}
	pack = d.uvarint()
	n := d.uvarint()
	if d.bad || n > MaxTasks {
		return 0, 0, errFrame
	}
	return pack, int(n), nil
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
	d := decoder{b: frame}
	d.byte()
	n := d.uvarint()
	if d.bad {
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
	d := decoder{b: frame}
	if d.byte() != KindProgress {
		return 0, 0, nil, errFrame
	}
	pack = d.uvarint()
	n := d.uvarint()
	if d.bad || n > MaxTasks {
		return 0, 0, nil, errFrame
	}
	return pack, int(n), d.b, nil
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// decoder takes fields off b; after the first that is not there, bad is set
// and everything else is empty.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

func (d *decoder) value() Value {
	n := d.uvarint()
	return Value{Data: d.take(n >> 1), Ref: n&1 != 0}
}

func (d *decoder) take(n uint64) []byte {
	if uint64(len(d.b)) < n {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}
