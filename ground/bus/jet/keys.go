package jet

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Keys returns the keys of which there is a message, also those whose message says that they were deleted. The leader answers: first its
// last revision, then, if that is not since, its subjects. Why twice? An answer of many subjects comes in parts, each with a revision of its own.
func (k *kv) Keys(ctx context.Context, since uint64) (keys []string, revision uint64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fault.New(fault.KindOf(err), "list keys", k.name, err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	before, err := k.info(ctx)
	if err != nil {
		return nil, 0, wrong("list keys", k.name, err)
	}
	if revision = before.State.LastSeq; revision == since {
		return nil, since, nil
	}
	now, err := k.info(ctx, jetstream.WithSubjectFilter(k.subject(">")))
	if err != nil {
		return nil, 0, wrong("list keys", k.name, err)
	}
	keys = make([]string, 0, len(now.State.Subjects))
	for subject := range now.State.Subjects {
		keys = append(keys, strings.TrimPrefix(subject, k.subject("")))
	}
	return keys, revision, nil
}

func (k *kv) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (info *jetstream.StreamInfo, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		info, err = k.s.Info(ctx, opts...)
		return notYet(err)
	})
	return info, err
}
