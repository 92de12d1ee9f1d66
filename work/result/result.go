package result

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// Record is the outcomes of consecutive jobs, and who ran them.
type Record struct {
	First    queue.ID // of the first job
	Function string
	Digest   string // from the subject
	Boss     string // from the subject
	Format   engine.Format
	Worker   string
	Node     string
	PID      int
	Attempt  int // tries it took
	Time     time.Time
	Outcomes []task.Outcome
}

const version = 1

// Subject returns where a result is published.
func Subject(digest, boss string, first queue.ID) string {
	return fmt.Sprintf("%s.%s.%s.%d.%d", roster.LogResults, digest, boss, first.Seq, first.Index)
}

// BossFilter returns the subjects of all results for a boss.
func BossFilter(boss string) string { return roster.LogResults + ".*." + boss + ".>" }

func jobFilter(seq uint64) string { return fmt.Sprintf("%s.*.*.%d.*", roster.LogResults, seq) }

// Append appends the record's wire form; Digest, Boss and First are in its subject.
func (r *Record) Append(dst []byte) []byte {
	dst = append(dst, version, byte(r.Format))
	for _, s := range []string{r.Function, r.Worker, r.Node} {
		dst = task.AppendText(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(r.PID))
	dst = binary.AppendUvarint(dst, uint64(r.Attempt))
	dst = binary.AppendUvarint(dst, uint64(len(r.Outcomes)))
	for _, o := range r.Outcomes {
		dst = task.AppendOutcome(dst, o)
	}
	return dst
}

var errRecord = errors.New("malformed result record")

// Decode reads a result record with its subject. Values are parts of data.
func Decode(subject string, data []byte) (*Record, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 5 || len(data) < 2 || data[0] != version {
		return nil, errRecord
	}
	seq, err1 := strconv.ParseUint(tokens[3], 10, 64)
	index, err2 := strconv.ParseUint(tokens[4], 10, 31)
	if err1 != nil || err2 != nil {
		return nil, errRecord
	}
	r := &Record{First: queue.ID{Seq: seq, Index: int(index)}, Digest: tokens[1], Boss: tokens[2], Format: engine.Format(data[1])}
	d := task.Fields{Rest: data[2:]}
	r.Function, r.Worker, r.Node = d.Text(), d.Text(), d.Text()
	r.PID, r.Attempt = int(d.Uvarint(math.MaxInt32)), int(d.Uvarint(math.MaxInt32))
	n := d.Uvarint(task.MaxTasks)
	if d.Bad || n == 0 {
		return nil, errRecord
	}
	items := d.Rest
	for range n {
		o, rest, err := task.NextOutcome(items)
		if err != nil {
			return nil, errRecord
		}
		r.Outcomes = append(r.Outcomes, o)
		items = rest
	}
	if len(items) != 0 {
		return nil, errRecord
	}
	return r, nil
}

// Find returns the first result kept for a job. fault.NotFound when there is none yet.
func Find(ctx context.Context, log bus.Log, id queue.ID) (found *Record, o task.Outcome, err error) {
	err = Each(ctx, log, id.Seq, func(r *Record, _ int) {
		if i := id.Index - r.First.Index; found == nil && i >= 0 && i < len(r.Outcomes) {
			found, o = r, r.Outcomes[i]
		}
	})
	if found != nil {
		return found, o, nil
	}
	if err == nil {
		err = fault.Text(fault.NotFound, "find result of job", id.String(), "there is none")
	}
	return nil, task.Outcome{}, err
}

// Each calls f with every result kept of the jobs in one queue record, in the order
// in which they were kept, and with its size in bytes.
func Each(ctx context.Context, log bus.Log, seq uint64, f func(r *Record, size int)) error {
	for from := uint64(1); ; {
		records, err := log.Read(ctx, jobFilter(seq), from, 64)
		if err != nil {
			return err
		}
		for _, stored := range records {
			if r, err := Decode(stored.Subject, stored.Data); err == nil {
				r.Time = stored.Time
				f(r, len(stored.Data))
			}
			from = stored.Seq + 1
		}
		if len(records) < 64 {
			return nil
		}
	}
}
