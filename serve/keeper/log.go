package keeper

import (
	"github.com/universal-server/become/serve/wire"
)

// SetLogLevel changes from which level on the processes log, those that run and those that come; see package slogs. Empty: each as its
// Program says. It does not wait until they have heard it. A process of a program that has its own way of
// logging does not heed it.
func (k *Keeper) SetLogLevel(level string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logLevel = level
	for s := range k.slots {
		select {
		case <-s.log: // nobody has heard it, and it is old
		default:
		}
		s.log <- k.logLocked(s.gen)
	}
}

// logLocked is how the processes of a generation log.
func (k *Keeper) logLocked(g *generation) wire.Log {
	l := g.program.Log
	if k.logLevel != "" {
		l.Level = k.logLevel
	}
	return l
}

// takeLog passes it on.
func (l *life) takeLog(to wire.Log) {
	if l.conn != nil {
		l.say(wire.ToProcess{Log: &to})
	}
}
