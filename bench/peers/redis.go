package peers

import "github.com/universal-server/become/bench/rig"

// startRedis starts a Redis that keeps nothing on disk, and returns its port.
func (p *Peer) startRedis() (string, error) {
	redis, err := rig.Find("redis-server")
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	if err := p.start(nil, redis, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", p.dir); err != nil {
		return "", err
	}
	return port, listening(port)
}
