package peers

import (
	"context"
	"io"
	"net"
	"os"
	"time"

	"github.com/universal-server/become/bench/rig"
)

const socketEnv = "BENCH_SOCKET"

// Socket starts two Go processes with a Unix socket between them: the floor
// under every call. It answers "call", the median in µs of n times a byte there and back.
func Socket(ctx context.Context, dir string) (*Peer, error) {
	p, err := newPeer("a Unix socket", dir)
	if err != nil {
		return nil, err
	}
	env := socketEnv + "=" + p.path("s")
	err = p.role("socket-server", env)
	if err == nil {
		_, err = p.asked.Line(ctx) // it listens
	}
	if err == nil {
		err = p.role("socket-client", env)
	}
	return p.ready(ctx, err)
}

// socketServer serves until its input ends.
func socketServer(context.Context) error {
	l, err := net.Listen("unix", os.Getenv(socketEnv))
	if err != nil {
		return err
	}
	defer l.Close()
	os.Stdout.WriteString("ready\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func socketClient(ctx context.Context) error {
	c, err := net.Dial("unix", os.Getenv(socketEnv))
	if err != nil {
		return err
	}
	defer c.Close()
	one := make([]byte, 1)
	call := func(_ context.Context, n int) (rig.Answer, error) {
		took := make([]float64, n)
		for i := range n {
			began := time.Now()
			if _, err := c.Write(one); err != nil {
				return rig.Answer{}, err
			}
			if _, err := io.ReadFull(c, one); err != nil {
				return rig.Answer{}, err
			}
			took[i] = float64(time.Since(began)) / float64(time.Microsecond)
		}
		return rig.Answer{Value: rig.Median(took)}, nil
	}
	return rig.Serve(ctx, os.Stdin, os.Stdout, map[string]rig.Asked{"call": call, "ready": call})
}
