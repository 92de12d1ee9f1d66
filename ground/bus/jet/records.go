package jet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// ackTimeout is how long the acknowledgement of what may safely be sent again is
// waited for: a leader that died never sends it.
const ackTimeout = 3 * time.Second

// publish sends m to a stream. With an id, which sets it apart from all others of
// two minutes, it is sent again when no acknowledgement comes, until ctx ends; resent
// says that it was: a conflict may then be with an earlier delivery of itself.
func (c *Conn) publish(ctx context.Context, m *nats.Msg, id string) (ack *jetstream.PubAck, resent bool, err error) {
	if id == "" {
		ack, err = c.js.PublishMsg(ctx, m)
		return ack, false, err
	}
	for ; ; resent = true {
		try, stop := context.WithTimeout(ctx, ackTimeout)
		ack, err = c.js.PublishMsg(try, m, jetstream.WithMsgID(id))
		stop()
		switch api := apiError(err); {
		case err == nil || ctx.Err() != nil:
			return ack, resent, err
		case api != nil && api.ErrorCode == codeDuplicateInProcess: // its earlier delivery is being kept just now
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout):
			return ack, resent, err
		}
	}
}

// put publishes into the stream until it is acknowledged or refused.
func (st *stream) put(ctx context.Context, m bus.Message, id string) (uint64, error) {
	subject := m.Subject
	if !bus.ValidSubject(subject, false) || !bus.Match(st.name+".>", subject) {
		return 0, fault.Text(fault.Invalid, "store record", subject, "the subject is not one of "+st.name)
	}
	if err := sized("store record", subject, m.Data); err != nil {
		return 0, err
	}
	if id == "" && st.s.CachedInfo().Config.Replicas > 1 {
		id = nuid.Next() // so that it can be sent again when the leader changes
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var seq uint64
	err := untilLed(ctx, func() error {
		ack, _, err := st.c.publish(ctx, message(m), id)
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, wrong("store record", subject, err)
}

// untilLed repeats what nobody takes: nothing has happened, the server is
// starting, or a cluster is choosing the store's leader.
func untilLed(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
		err := f()
		if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
			return err
		}
		if time.Since(began) > storeAwayFor || ctx.Err() != nil {
			return fault.New(fault.Lost, "reach the store", "", err).WithHint("the bus stores nothing at the moment: its disk is full, or it is still starting")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// maxAhead is how many records are asked for at once.
const maxAhead = 64

// read returns records matching filter from a number on. It asks the leader
// for the first record at or after each of several numbers at once: for more while there
// is no gap between the records, for one when they are apart.
func (st *stream) read(ctx context.Context, filter string, from uint64, most int) ([]bus.Record, error) {
	if !bus.ValidSubject(filter, true) {
		return nil, fault.Text(fault.Invalid, "read", filter, "it is no subject")
	}
	if !bus.Overlap(filter, st.name+".>") {
		return nil, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []bus.Record
	for from, ahead := max(1, from), 1; len(out) < most; {
		some, end, err := st.ahead(ctx, filter, from, min(ahead, most-len(out)))
		if err != nil {
			return nil, wrong("read", filter, err)
		}
		out = append(out, some...)
		if end {
			break
		}
		next := out[len(out)-1].Seq + 1
		if next-from == uint64(len(some)) { // no gap among them
			ahead = min(2*ahead, maxAhead)
		} else {
			ahead = max(1, min(ahead, len(some)/2))
		}
		from = next
	}
	return out, nil
}

// ahead asks for the first record at or after each of n numbers. end says that
// there are no more.
func (st *stream) ahead(ctx context.Context, filter string, from uint64, n int) (some []bus.Record, end bool, err error) {
	answers := make([]*jetstream.RawStreamMsg, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			errs[i] = patiently(ctx, func(ctx context.Context) (err error) {
				answers[i], err = st.c.get(ctx, st.s.CachedInfo().Config.Name, wanted{Seq: from + uint64(i), Next: filter})
				return notYet(err)
			})
		})
	}
	wg.Wait()
	for i, m := range answers {
		if errors.Is(errs[i], jetstream.ErrMsgNotFound) {
			end = true // what later ones saw may have come since, and others before it
			break
		}
		if errs[i] != nil {
			return nil, false, errs[i]
		}
		if len(some) == 0 || some[len(some)-1].Seq < m.Sequence {
			some = append(some, bus.Record{Subject: m.Subject, Seq: m.Sequence, Time: m.Time, Header: words(m.Header), Data: m.Data})
		}
	}
	return some, end, nil
}
