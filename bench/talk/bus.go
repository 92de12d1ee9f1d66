package talk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/door/micro"
)

const busRequest = `{"x":1.5,"y":2.25}`

// overBus: a request over the bus of a node and its answer, one after the other, beside the same bytes sent there and back
// by a bare NATS server. Three processes on both sides: who asks, the server, who answers.
func overBus(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	home, stop, err := onBus(ctx, b)
	if err != nil {
		return nil, err
	}
	defer stop()
	f, err := fleet.Connect(ctx, &fleet.Options{Home: home})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ask := func(ctx context.Context) error {
		a, err := micro.Request(ctx, f.Bus(), "crunch", "Multiply", []byte(busRequest))
		if err == nil && string(a.Value) != `{"value":3.375}` {
			err = fmt.Errorf("crunch answers %s", a.Value)
		}
		return err
	}
	if err := patiently(ctx, ask); err != nil {
		return nil, err
	}
	rival, err := peers.Against(ctx, b, peers.NATS)
	if err != nil {
		return nil, err
	}
	defer rival.Stop()
	sides := []rig.Side{median(b, ask), nil}
	if rival.Peer != nil {
		nc, err := nats.Connect(rival.Addr)
		if err != nil {
			return nil, err
		}
		defer nc.Close()
		sides[1] = median(b, func(ctx context.Context) error {
			_, err := nc.RequestWithContext(ctx, peers.AnswerSubject, []byte(busRequest))
			return err
		})
	}
	t, err := rig.TakeTurns(ctx, b.Rounds, sides...)
	if err != nil {
		return nil, err
	}
	row := rival.Row("request and answer over the bus, p50", "µs", 0, 0, rig.AtMostTimes(1.3))
	return []rig.Row{t.Compare(row, 0, 1)}, nil
}

// onBus starts a node, and crunch at its bus.
func onBus(ctx context.Context, b *rig.Bench) (home string, stop func(), err error) {
	become, err := b.Become(ctx)
	if err != nil {
		return "", nil, err
	}
	if home, err = os.MkdirTemp(b.Dir, "home-"); err != nil {
		return "", nil, err
	}
	node, err := rig.Start("become up", []string{"BECOME_URL=", "BECOME_KEY=", "BECOME_HOME="}, become, "up", "--json", "--home", home)
	if err != nil {
		return "", nil, err
	}
	line, err := node.Line(ctx)
	var said struct{ URL string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &said)
	}
	if err != nil {
		node.Stop()
		return "", nil, fmt.Errorf("start node: %w", err)
	}
	env := []string{"BECOME_URL=" + said.URL, "BECOME_KEY=" + filepath.Join(home, "key"), "BECOME_HOME=" + home}
	api, _, err := started(ctx, b, "crunch", env, "--bus")
	if err != nil {
		node.Stop()
		return "", nil, err
	}
	return home, func() { api.Stop(); node.Stop() }, nil
}

// patiently asks until there is somebody: an API comes to the bus a moment after it serves.
func patiently(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if fault.KindOf(err) != fault.NotFound || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// median is a side that asks again and again: the median of what that took. Unit: microseconds.
func median(b *rig.Bench, ask func(context.Context) error) rig.Side {
	return func(ctx context.Context) (float64, error) {
		var took []float64
		for range b.Size(3000, 50) {
			began := time.Now()
			if err := ask(ctx); err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(began))/float64(time.Microsecond))
		}
		return rig.Median(took), nil
	}
}
