package peers

import "github.com/universal-server/become/bench/rig"

// Roles are the processes of peers that are written in Go.
var Roles = rig.Roles{
	"asynq-worker":     asynqWorker,
	"asynq-boss":       asynqBoss,
	"jetstream-server": jetstreamServer,
	"jetstream-worker": jetstreamWorker,
	"jetstream-boss":   jetstreamBoss,
	"nats-answerer":    natsAnswerer,
	"socket-server":    socketServer,
	"socket-client":    socketClient,
	"spin":             spin,
	"bare":             bareServer,
}

// role adds a process of this program in a role.
func (p *Peer) role(name string, env ...string) error {
	c, err := rig.StartRole(p.Name, name, env...)
	if err != nil {
		return err
	}
	p.add(c)
	return nil
}
