package talk

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

const (
	request = `{"id":1,"request":"Multiply","value":{"x":1.5,"y":2.25}}`
	answer  = `{"id":1,"value":["crunch.Output",{"value":3.375},[]]}`
)

// session: a request and its answer over WebSocket, by one client that is the same for both sides.
func session(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	addr, stop, err := serving(ctx, b, "crunch")
	if err != nil {
		return nil, err
	}
	defer stop()
	rival, err := peers.Against(ctx, b, peers.BareWebSocket)
	if err != nil {
		return nil, err
	}
	defer rival.Stop()
	ours, hangUp, err := asker(ctx, b, addr, answer)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	sides := []rig.Side{ours, nil}
	if rival.Peer != nil {
		var hangUp func()
		if sides[1], hangUp, err = asker(ctx, b, rival.Addr, request); err != nil {
			return nil, err
		}
		defer hangUp()
	}
	t, err := rig.TakeTurns(ctx, b.Rounds, sides...)
	if err != nil {
		return nil, err
	}
	row := rival.Row("request and answer over WebSocket, one client, p50", "µs", 0, 0, rig.AtMostTimes(1.3))
	return []rig.Row{t.Compare(row, 0, 1)}, nil
}

// asker is a client that asks one thing after the other; its figure is the median of what they took.
func asker(ctx context.Context, b *rig.Bench, addr, want string) (rig.Side, func(), error) {
	c, _, err := websocket.Dial(ctx, "ws://"+addr+"/", nil)
	if err != nil {
		return nil, nil, fmt.Errorf("open session with %s: %w", addr, err)
	}
	return func(ctx context.Context) (float64, error) {
		var took []float64
		for range b.Size(3000, 50) {
			began := time.Now()
			if err := c.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
				return 0, err
			}
			_, got, err := c.Read(ctx)
			if err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(began))/float64(time.Microsecond))
			if string(got) != want {
				return 0, fmt.Errorf("%s answers %s", addr, got)
			}
		}
		return rig.Median(took), nil
	}, func() { c.CloseNow() }, nil
}
