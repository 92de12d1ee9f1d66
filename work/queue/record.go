package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// ID names a job: the sequence number of the record it was submitted in, and
// its place there.
type ID struct {
	Seq   uint64
	Index int
}

// String returns "48213.7".
func (id ID) String() string { return fmt.Sprintf("%d.%d", id.Seq, id.Index) }

// ParseID reads an ID. The error says what one looks like.
func ParseID(s string) (ID, error) {
	seq, index, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(seq, 10, 64)
	i, err2 := strconv.ParseUint(index, 10, 31)
	if !ok || err1 != nil || err2 != nil || n == 0 {
		return ID{}, fmt.Errorf("%q is no job id: want <number>.<number>, as submit prints it", s)
	}
	return ID{n, int(i)}, nil
}

// Class sorts records by what they may do to a worker.
type Class string

const (
	// Normal records run beside others.
	Normal Class = "run"
	// Solo records have killed, or were beside one that killed, their worker: each
	// runs in a process of its own.
	Solo Class = "solo"
)

// Subject returns the queue subject of a function's jobs.
func Subject(digest string, class Class, function string) string {
	return roster.QueueJobs + "." + digest + "." + string(class) + "." + function
}

// Filter returns the subjects of all jobs of a bundle in a class.
func Filter(digest string, class Class) string {
	return roster.QueueJobs + "." + digest + "." + string(class) + ".>"
}

// ParseSubject takes a queue subject apart.
func ParseSubject(subject string) (digest string, class Class, function string, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 || tokens[0] != roster.QueueJobs {
		return "", "", "", false
	}
	return tokens[1], Class(tokens[2]), tokens[3], true
}

// Lease is how long a worker may be silent before its jobs are given to others.
const Lease = 6 * time.Second

// Record is jobs of one function that wait together.
type Record struct {
	Function string
	Format   engine.Format
	// Boss is who submitted; results are published under its name.
	Boss string
	// Timeout of each task; 0: the function's own. It travels in whole milliseconds, rounded up.
	Timeout time.Duration
	Tries   int // 0: the function's own
	// NotBefore delays the record.
	NotBefore time.Time
	// Attempt counts how often these jobs were begun before.
	Attempt int
	// Deaths counts how often a worker died with these jobs.
	Deaths int
	// Origin is the ID of the first job if this record repeats jobs of an earlier one;
	// zero when the record's own sequence number names them. The further jobs follow on.
	Origin ID
	Jobs   []task.Value
	// Places are what each of the jobs was submitted from, in a trace: as many as there are jobs, or nil if nobody knows of any. They are
	// not part of the wire form, see Header.
	Places []trace.Place
}

const recordVersion = 1

var errRecord = errors.New("malformed job record")

// Append appends the record's wire form.
func (r *Record) Append(dst []byte) []byte {
	dst = append(dst, recordVersion, byte(r.Format))
	dst = task.AppendText(dst, r.Function)
	dst = task.AppendText(dst, r.Boss)
	dst = binary.AppendUvarint(dst, uint64((r.Timeout+time.Millisecond-1)/time.Millisecond))
	dst = binary.AppendUvarint(dst, uint64(r.Tries))
	notBefore := uint64(0)
	if !r.NotBefore.IsZero() {
		notBefore = uint64(r.NotBefore.UnixMilli())
	}
	dst = binary.AppendUvarint(dst, notBefore)
	dst = binary.AppendUvarint(dst, uint64(r.Attempt))
	dst = binary.AppendUvarint(dst, uint64(r.Deaths))
	dst = binary.AppendUvarint(dst, r.Origin.Seq)
	dst = binary.AppendUvarint(dst, uint64(r.Origin.Index))
	dst = binary.AppendUvarint(dst, uint64(len(r.Jobs)))
	for _, v := range r.Jobs {
		dst = task.AppendValue(dst, v)
	}
	return dst
}

// DecodeRecord reads a record. Jobs are parts of b.
func DecodeRecord(b []byte) (*Record, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
	r := &Record{Format: engine.Format(b[1])}
	if r.Format != engine.CBOR && r.Format != engine.JSON {
		return nil, errRecord
	}
	d := task.Fields{Rest: b[2:]}
	r.Function = d.Text()
	r.Boss = d.Text()
	r.Timeout = time.Duration(d.Uvarint(1<<40)) * time.Millisecond
	r.Tries = int(d.Uvarint(1 << 20))
	if ms := d.Uvarint(1 << 60); ms > 0 {
		r.NotBefore = time.UnixMilli(int64(ms))
	}
	r.Attempt = int(d.Uvarint(1 << 20))
	r.Deaths = int(d.Uvarint(1 << 20))
	r.Origin.Seq = d.Uvarint(math.MaxUint64)
	r.Origin.Index = int(d.Uvarint(1 << 30))
	n := d.Uvarint(task.MaxTasks)
	if d.Bad || n == 0 {
		return nil, errRecord
	}
	r.Jobs = make([]task.Value, 0, min(int(n), len(d.Rest)))
	for range n {
		r.Jobs = append(r.Jobs, d.Value())
	}
	if d.Bad || len(d.Rest) != 0 {
		return nil, errRecord
	}
	return r, nil
}

// ID returns the ID of the job at place i of a record stored under seq.
func (r *Record) ID(seq uint64, i int) ID {
	if r.Origin.Seq != 0 {
		return ID{r.Origin.Seq, r.Origin.Index + i}
	}
	return ID{seq, i}
}
