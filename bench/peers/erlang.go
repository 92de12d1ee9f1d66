package peers

import (
	"context"
	"os/exec"
	"path/filepath"

	"github.com/universal-server/become/bench/rig"
)

// Erlang starts Armstrong's universal server in one Erlang node and a client
// in another, with a port mapper of their own. It answers "call", the median
// of n calls one after another in µs, and "flight", n calls in flight per second.
func Erlang(ctx context.Context, dir string) (*Peer, error) {
	erl, err := rig.Find("erl")
	if err != nil {
		return nil, err
	}
	erlc, err := rig.Find("erlc")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("Erlang's universal server", dir, "universal.erl")
	if err != nil {
		return nil, err
	}
	return p.ready(ctx, p.startErlang(erl, erlc))
}

func (p *Peer) startErlang(erl, erlc string) error {
	if out, err := exec.Command(erlc, "-o", p.dir, p.path("universal.erl")).CombinedOutput(); err != nil {
		return &exec.Error{Name: "erlc: " + string(out), Err: err}
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	epmd, err := findEpmd(erl)
	if err != nil {
		return err
	}
	env := []string{"ERL_EPMD_PORT=" + port, "ERL_EPMD_ADDRESS=127.0.0.1", "HOME=" + p.dir} // the cookie is there
	if err := p.start(env, epmd, "-port", port, "-address", "127.0.0.1"); err != nil {
		return err
	}
	if err := listening(port); err != nil {
		return err
	}
	node := func(name, start string, more ...string) error {
		args := []string{
			erl, "-noinput", "-name", name, "-setcookie", "bench", "-pa", p.dir, "-start_epmd", "false",
			"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-s", "universal", start,
		}
		return p.start(env, append(args, more...)...)
	}
	if err := node("server@127.0.0.1", "server"); err != nil {
		return err
	}
	return node("client@127.0.0.1", "client", "server@127.0.0.1")
}

// findEpmd looks beside erl too: some packages keep it out of the path.
func findEpmd(erl string) (string, error) {
	if path, err := exec.LookPath("epmd"); err == nil {
		return path, nil
	}
	real, err := filepath.EvalSymlinks(erl)
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(real), "..", "erts-*", "bin", "epmd"))
	if err != nil || len(found) == 0 {
		return "", &rig.Missing{What: "epmd"}
	}
	return found[0], nil
}
