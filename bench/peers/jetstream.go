package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/bench/rig"
)

const (
	natsEnv     = "BENCH_NATS"
	storeEnv    = "BENCH_STORE"
	bareStream  = "bare"
	bareResults = "results"
)

// JetStream starts a bare JetStream: a server with a work queue on disk (the
// operating system's cache, as our default), two workers that pull, acknowledge and
// send each answer as a plain message, and a boss. It answers "jobs", n tasks published without
// waiting for each and all answered, per second.
func JetStream(ctx context.Context, dir string) (*Peer, error) {
	p, err := newPeer("bare JetStream", dir)
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.startJetStream(ctx))
}

func (p *Peer) startJetStream(ctx context.Context) error {
	if err := p.role("jetstream-server", storeEnv+"="+p.path("store")); err != nil {
		return err
	}
	url, err := p.asked.Line(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		if err := p.role("jetstream-worker", natsEnv+"="+url); err != nil {
			return err
		}
		if _, err := p.asked.Line(ctx); err != nil { // it is ready
			return err
		}
	}
	return p.role("jetstream-boss", natsEnv+"="+url)
}

// jetstreamServer serves until its input ends.
func jetstreamServer(context.Context) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: os.Getenv(storeEnv), NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("the server is not ready")
	}
	fmt.Println(s.ClientURL())
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

func bareQueue(ctx context.Context) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(os.Getenv(natsEnv))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return nil, nil, err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: bareStream, Subjects: []string{"task"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
	})
	return nc, js, err
}

// jetstreamWorker says when it is ready, and serves until its input ends.
func jetstreamWorker(ctx context.Context) error {
	nc, js, err := bareQueue(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := js.CreateOrUpdateConsumer(ctx, bareStream, jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 20_000,
	})
	if err != nil {
		return err
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		nc.Publish(bareResults, m.Data())
		m.Ack()
	}, jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func jetstreamBoss(ctx context.Context) error {
	nc, js, err := bareQueue(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	answers := make(chan *nats.Msg, 1<<20)
	if _, err := nc.ChanSubscribe(bareResults, answers); err != nil {
		return err
	}
	jobs := func(ctx context.Context, n int) (rig.Answer, error) {
		began := time.Now()
		for i := range n {
			if _, err := js.PublishAsync("task", binary.AppendUvarint(nil, uint64(i))); err != nil {
				return rig.Answer{}, err
			}
		}
		for i := range n {
			select {
			case <-answers:
			case <-time.After(45 * time.Second):
				return rig.Answer{}, fmt.Errorf("%d of %d answers, then none", i, n)
			}
		}
		return rig.Answer{Value: float64(n) / time.Since(began).Seconds()}, nil
	}
	return rig.Serve(ctx, os.Stdin, os.Stdout, map[string]rig.Asked{"jobs": jobs, "ready": jobs})
}
