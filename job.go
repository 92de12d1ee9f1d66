package become

import (
	"context"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
)

// JobOptions are one job's wishes. The zero value means the function's own.
type JobOptions struct {
	// Timeout ends each try. Default: the function's.
	Timeout time.Duration
	// Tries is how often the job is started at most. Default: the function's, or 3.
	Tries int
	// NoWait refuses with a Busy error when the queue is full. Default: wait for room.
	NoWait bool
}

// Job is a task that is kept on disk until it is done, whoever dies. Its
// result is kept for 24 hours, for any process of the fleet.
type Job[Out any] struct {
	fleet *Fleet
	codec codec.Codec[Out]
	id    queue.ID
}

// ID names the job in its fleet: "48213.7".
func (j *Job[Out]) ID() string { return j.id.String() }

// Submit puts the function with its argument into the queue and returns when
// the job is kept at the fleet's durability level. It waits while the queue is full. The job runs at least
// once, in the version of the function that this moment has.
func (f *Function[In, Out]) Submit(ctx context.Context, on *Fleet, in In, opts ...JobOptions) (*Job[Out], error) {
	var o JobOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	if !span.On() {
		return f.submit(ctx, on, in, o)
	}
	ctx, s := span.Begin(ctx, span.Producer, "submit "+f.Name())
	j, err := f.submit(ctx, on, in, o)
	if err == nil {
		s.Text("become.job", j.ID())
	}
	s.End(err)
	return j, err
}

func (f *Function[In, Out]) submit(ctx context.Context, on *Fleet, in In, o JobOptions) (*Job[Out], error) {
	digest, err := on.target(ctx, f.deploy)
	if err != nil {
		return nil, err
	}
	data, err := f.in.Append(nil, in)
	if err != nil {
		return nil, fault.New(fault.Invalid, "send argument of", f.Name(), plain(err))
	}
	value, err := on.f.Outline(ctx, data)
	if err != nil {
		return nil, err
	}
	id, err := on.f.Submit(ctx, queue.Spec{
		Digest: digest, Function: f.name, Format: engine.CBOR, Timeout: o.Timeout, Tries: o.Tries, NoWait: o.NoWait,
	}, value)
	if err != nil {
		return nil, err
	}
	return &Job[Out]{fleet: on, codec: f.out, id: id}, nil
}

// JobOf returns the job of that ID, submitted by whomever. Out must be the
// type of its function's answer.
func JobOf[Out any](on *Fleet, id string) (*Job[Out], error) {
	parsed, err := queue.ParseID(id)
	if err != nil {
		return nil, fault.New(fault.Invalid, "find job", "", err)
	}
	return &Job[Out]{fleet: on, codec: codec.CBOR[Out](), id: parsed}, nil
}

// Wait returns the job's answer, or its error after its last try. When ctx
// ends the job goes on. onProgress, if given, hears the function's reports.
func (j *Job[Out]) Wait(ctx context.Context, onProgress ...func(Progress)) (Out, error) {
	defer yieldSlot(ctx)()
	var hear func([]byte)
	if len(onProgress) > 0 {
		hear = func(b []byte) { onProgress[0](Progress{value: b}) }
	}
	o, err := j.fleet.f.WaitJob(ctx, j.id, hear)
	return j.answer(ctx, o, err)
}

// Result returns the job's answer if it has ended, and a NotFound error
// while it has not.
func (j *Job[Out]) Result(ctx context.Context) (Out, error) {
	o, err := j.fleet.f.Result(ctx, j.id)
	return j.answer(ctx, o, err)
}

func (j *Job[Out]) answer(ctx context.Context, o *fleet.Outcome, err error) (out Out, _ error) {
	if err != nil {
		return out, err
	}
	c := j.codec
	if engine.Format(o.Format) == engine.JSON { // submitted at the shell
		c = codec.JSON[Out]()
	}
	return decode(ctx, j.fleet, c, o.Function, o.Outcome)
}

// Cancel makes sure that the job does not go on: it never begins if it waits, and
// its context ends if it runs. fault.Conflict when it has ended already.
func (j *Job[Out]) Cancel(ctx context.Context) error { return j.fleet.f.CancelJob(ctx, j.id) }
