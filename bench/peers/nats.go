package peers

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// NATS starts a bare NATS: a server, and a process that answers each request with the same bytes. Addr is the server's URL.
func NATS(ctx context.Context, dir string) (*Peer, error) {
	p, err := newPeer("a bare NATS request", dir)
	if err != nil {
		return nil, err
	}
	err = p.role("jetstream-server", storeEnv+"="+p.path("store"))
	if err == nil {
		p.Addr, err = p.asked.Line(ctx)
	}
	if err == nil {
		err = p.role("nats-answerer", natsEnv+"="+p.Addr)
	}
	if err == nil {
		_, err = p.asked.Line(ctx) // it is ready
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return p, nil
}

// AnswerSubject is where the bare NATS answers.
const AnswerSubject = "answer"

// natsAnswerer answers until its input ends.
func natsAnswerer(context.Context) error {
	nc, err := nats.Connect(os.Getenv(natsEnv))
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.Subscribe(AnswerSubject, func(m *nats.Msg) { m.Respond(m.Data) }); err != nil {
		return err
	}
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
