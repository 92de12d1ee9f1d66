package peers

import (
	"context"
	"os/exec"
	"strings"

	"github.com/universal-server/become/bench/rig"
)

// Pool starts Python's multiprocessing.Pool of two processes. It answers
// "flight", n calls of apply_async in flight per second, and "map", n tasks of its map, which
// packs them into a few large chunks, per second.
func Pool(ctx context.Context, dir string) (*Peer, error) {
	python, err := rig.Find("python3")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("Python's Pool", dir, "serve.py", "pool.py")
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.start(nil, python, p.path("pool.py")))
}

// Seed starts the manager, worker and boss of the seed as they are written
// there. It answers "seed": n times nine factorials, in tasks per second.
func Seed(ctx context.Context, dir string) (*Peer, error) {
	python, err := rig.Find("python3")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("the seed's Python", dir, "serve.py", "seed.py")
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.startSeed(python))
}

func (p *Peer) startSeed(python string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := p.start(nil, python, p.path("seed.py"), "manager", port); err != nil {
		return err
	}
	if err := listening(port); err != nil {
		return err
	}
	if err := p.start(nil, python, p.path("seed.py"), "worker", port); err != nil {
		return err
	}
	return p.start(nil, python, p.path("seed.py"), "boss", port)
}

// Celery starts Redis, a Celery worker with two processes, and a boss. It answers
// "flight", n calls in flight per second.
func Celery(ctx context.Context, dir string) (*Peer, error) {
	python, err := pythonWith("celery", "redis")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("Celery + Redis", dir, "serve.py", "celery_peer.py")
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.startCelery(python))
}

// pythonWith finds a Python that has modules: the one in the path, or the system's.
func pythonWith(modules ...string) (string, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+strings.Join(modules, ", ")).Run() == nil {
			return python, nil
		}
	}
	return "", &rig.Missing{What: modules[0]}
}

func (p *Peer) startCelery(python string) error {
	port, err := p.startRedis()
	if err != nil {
		return err
	}
	env := []string{"BENCH_REDIS=redis://127.0.0.1:" + port + "/0", "PYTHONPATH=" + p.dir, "C_FORCE_ROOT=1"}
	if err := p.start(env, python, "-m", "celery", "-A", "celery_peer", "worker", "--concurrency", "2", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"); err != nil {
		return err
	}
	return p.start(env, python, p.path("celery_peer.py"))
}
