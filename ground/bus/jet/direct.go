package jet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// direct reads chunks of a blob from whatever server is near, several with one request and as they are: the leader wraps each
// in JSON and base64, which costs both sides more than all the rest. A chunk never changes, so a server that lags
// has too few at worst.
//
// It is used until it fails once: what comes late is not taken for the answer to something else.
type direct struct {
	nc     *nats.Conn
	ask    string // the subject of requests
	chunks string // the subject of what is read
	sub    *nats.Subscription
}

// chunk is one of a blob's.
type chunk struct {
	seq  uint64
	data []byte
}

func (b *blobs) direct(chunks string) (*direct, error) {
	sub, err := b.c.nc.SubscribeSync(b.c.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	return &direct{nc: b.c.nc, ask: "$JS.API.DIRECT.GET." + b.stream, chunks: chunks, sub: sub}, nil
}

// read returns at most n chunks from a number on; fewer, or none, if the server has no more.
func (d *direct) read(ctx context.Context, from uint64, n int) (all []chunk, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ask, err := json.Marshal(wanted{Seq: from, Next: d.chunks, Batch: n})
	if err != nil {
		return nil, err
	}
	if err := d.nc.PublishRequest(d.ask, d.sub.Subject, ask); err != nil {
		return nil, err
	}
	for {
		m, err := d.sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // that is all, or there is none
			return all, nil
		default:
			return nil, fmt.Errorf("%s %s", status, m.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil || m.Header.Get("Nats-Subject") != d.chunks || len(all) == n {
			return nil, errors.New("it is not what was asked for")
		}
		all = append(all, chunk{seq, m.Data})
	}
}

func (d *direct) close() {
	if d != nil {
		d.sub.Unsubscribe()
	}
}
