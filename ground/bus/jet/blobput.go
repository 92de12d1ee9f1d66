package jet

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/universal-server/become/ground/fault"
)

const (
	chunkSize = 128 << 10
	// chunksAhead is how many chunks may wait for their acknowledgement.
	chunksAhead = 16
)

// Put stores what r gives.
//
// Why not the client's own Put? It publishes the description of a blob before it
// knows that every chunk was taken: when the store is full in between, what was
// there is replaced by something damaged.
func (b *blobs) Put(ctx context.Context, name string, r io.Reader) error {
	if name == "" {
		return fault.Text(fault.Invalid, "store blob", name, "it has no name")
	}
	if err := ctx.Err(); err != nil {
		return wrong("store blob", name, err)
	}
	again, _ := r.(io.Seeker)
	patience := callTimeout
	if again != nil {
		patience = firstAckTimeout
	}
	for {
		err := b.putOnce(ctx, name, r, patience)
		if err == nil {
			return nil
		}
		if again == nil || patience >= callTimeout || !unanswered(err) || ctx.Err() != nil {
			return wrong("store blob", name, err)
		}
		if _, err := again.Seek(0, io.SeekStart); err != nil {
			return wrong("store blob", name, err)
		}
		patience *= 3
	}
}

// firstAckTimeout is how long a chunk waits for its acknowledgement when the
// content can be sent again. A cluster that changes its leader acknowledges nothing that was
// on its way.
const firstAckTimeout = 3 * time.Second

// unanswered reports whether nobody said yes or no.
func unanswered(err error) bool {
	if _, ok := errors.AsType[*sourceError](err); ok {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

func (b *blobs) putOnce(ctx context.Context, name string, r io.Reader, patience time.Duration) error {
	info := &jetstream.ObjectInfo{Bucket: b.name, NUID: nuid.Next()}
	info.Name, info.Opts = name, &jetstream.ObjectMetaOptions{ChunkSize: chunkSize}
	err := b.putChunks(ctx, info, r, patience)
	var old *jetstream.ObjectInfo
	if err == nil {
		old, err = b.putInfo(ctx, info)
	}
	if err != nil {
		b.purge(info)
		return err
	}
	if old != nil { // nobody waits for it, or for the lack of the right to do it
		b.c.begin("purge", func() { b.purge(old) })
	}
	return nil
}

// purgeTimeout is short: a process without the right to purge gets no answer.
const purgeTimeout = 2 * time.Second

// purge removes chunks that nothing refers to.
func (b *blobs) purge(info *jetstream.ObjectInfo) {
	if info.Chunks == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), purgeTimeout)
	defer cancel()
	if err := b.s.Purge(ctx, jetstream.WithPurgeSubject(b.chunks(info))); err != nil {
		b.c.logger.Debug("chunks are left behind", "store", b.name, "err", err)
	}
}

// description is the subject of what tells about a blob.
func (b *blobs) description(name string) string {
	return "$O." + b.name + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

func (b *blobs) chunks(info *jetstream.ObjectInfo) string { return "$O." + b.name + ".C." + info.NUID }

// putChunks publishes the content, and returns when all of it was taken.
func (b *blobs) putChunks(ctx context.Context, info *jetstream.ObjectInfo, r io.Reader, patience time.Duration) error {
	sum := sha256.New()
	var waiting []jetstream.PubAckFuture
	defer func() { // after an error: what is on its way must not arrive after the purge
		ctx, cancel := bounded(context.WithoutCancel(ctx))
		defer cancel()
		for _, f := range waiting {
			acknowledged(ctx, f, patience)
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := make([]byte, chunkSize) // kept by the client until it is acknowledged
		n, err := io.ReadFull(r, chunk)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return &sourceError{err}
		}
		if n > 0 {
			sum.Write(chunk[:n])
			future, err := b.c.js.PublishMsgAsync(&nats.Msg{Subject: b.chunks(info), Data: chunk[:n]})
			if err != nil {
				return err
			}
			waiting = append(waiting, future)
			info.Chunks++
			info.Size += uint64(n)
		}
		for len(waiting) > chunksAhead || err != nil && len(waiting) > 0 {
			refused := acknowledged(ctx, waiting[0], patience)
			waiting = waiting[1:]
			if refused != nil {
				return refused
			}
		}
		if err != nil {
			info.Digest = jetstream.GetObjectDigestValue(sum)
			return nil
		}
	}
}

// sourceError sets an error of the content's reader apart from those of the bus.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func acknowledged(ctx context.Context, f jetstream.PubAckFuture, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return context.DeadlineExceeded
	}
}

// putInfo publishes the description: from now on the blob is there. It returns
// the one it replaced.
func (b *blobs) putInfo(ctx context.Context, info *jetstream.ObjectInfo) (old *jetstream.ObjectInfo, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	data, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	subject := b.description(info.Name)
	for {
		expected := uint64(0)
		old = nil
		last, err := b.c.get(ctx, b.stream, wanted{Last: subject})
		switch {
		case err == nil:
			expected, old = last.Sequence, &jetstream.ObjectInfo{}
			if json.Unmarshal(last.Data, old) != nil {
				old = nil
			}
			if old != nil && old.NUID == info.NUID && old.Deleted == info.Deleted {
				return nil, nil // an acknowledgement of ours got lost
			}
			if old != nil && old.Deleted {
				old = nil
			}
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, err
		}
		m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
		m.Header.Set("Nats-Rollup", "sub")
		m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(expected, 10))
		resent := false
		err = untilLed(ctx, func() error {
			_, again, err := b.c.publish(ctx, m, info.NUID+strconv.FormatUint(expected, 10))
			resent = resent || again
			return err
		})
		if err == nil {
			return old, nil
		}
		if resent || kindOf(err) != fault.Conflict { // with another writer: his is the one to replace
			return nil, err
		}
	}
}
