package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/universal-server/become/bench/rig"
)

const (
	asynqTask    = "same"
	asynqResults = "results" // asynq has none to wait for: a list holds them
	redisEnv     = "BENCH_REDIS"
)

// Asynq starts Redis, two asynq workers and a boss. It answers "flight", n
// tasks in flight per second: enqueued by many goroutines, their answers
// taken from a list in the same Redis.
func Asynq(ctx context.Context, dir string) (*Peer, error) {
	p, err := newPeer("asynq + Redis", dir)
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.startAsynq())
}

func (p *Peer) startAsynq() error {
	port, err := p.startRedis()
	if err != nil {
		return err
	}
	env := redisEnv + "=127.0.0.1:" + port
	for range 2 {
		if err := p.role("asynq-worker", env); err != nil {
			return err
		}
	}
	return p.role("asynq-boss", env)
}

// asynqWorker serves until its input ends.
func asynqWorker(ctx context.Context) error {
	results := redis.NewClient(&redis.Options{Addr: os.Getenv(redisEnv)})
	defer results.Close()
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: os.Getenv(redisEnv)}, asynq.Config{
		Concurrency: 8 * runtime.NumCPU(), LogLevel: asynq.FatalLevel,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc(asynqTask, func(ctx context.Context, t *asynq.Task) error {
		return results.RPush(ctx, asynqResults, t.Payload()).Err()
	})
	if err := server.Start(mux); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	server.Shutdown()
	return nil
}

func asynqBoss(ctx context.Context) error {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: os.Getenv(redisEnv)})
	defer client.Close()
	results := redis.NewClient(&redis.Options{Addr: os.Getenv(redisEnv)})
	defer results.Close()
	flight := func(ctx context.Context, n int) (rig.Answer, error) { return asynqFlight(ctx, client, results, n) }
	return rig.Serve(ctx, os.Stdin, os.Stdout, map[string]rig.Asked{"ready": flight, "flight": flight})
}

func asynqFlight(ctx context.Context, client *asynq.Client, results *redis.Client, n int) (rig.Answer, error) {
	const enqueuers = 16
	began := time.Now()
	var wg sync.WaitGroup
	failed := make(chan error, enqueuers)
	for g := range enqueuers {
		wg.Go(func() {
			for i := g; i < n; i += enqueuers {
				task := asynq.NewTask(asynqTask, binary.AppendUvarint(nil, uint64(i)))
				if _, err := client.EnqueueContext(ctx, task, asynq.MaxRetry(0)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return rig.Answer{}, err
	default:
	}
	for {
		done, err := results.LLen(ctx, asynqResults).Result()
		if err != nil {
			return rig.Answer{}, err
		}
		if done >= int64(n) {
			break
		}
		if time.Since(began) > time.Minute {
			return rig.Answer{}, fmt.Errorf("%d of %d answers within a minute", done, n)
		}
		time.Sleep(500 * time.Microsecond)
	}
	took := time.Since(began)
	return rig.Answer{Value: float64(n) / took.Seconds()}, results.Del(ctx, asynqResults).Err()
}
