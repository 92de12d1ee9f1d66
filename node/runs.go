package node

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/runs"
)

// beatEvery is how often a node that serves notes that it is alive; the end of processes that a killed node takes
// along is known so exactly.
const beatEvery = 10 * time.Second

// openRuns opens the journal. What the program before has handed over goes on.
func (n *Node) openRuns() (*runs.Journal, error) {
	return runs.Open(n.home.Runs(), func(role string, _ runs.Run) bool {
		return n.opts.Adopt != nil && slices.ContainsFunc(n.opts.Adopt.Services, func(s servedState) bool { return s.Name == role })
	})
}

// beat notes that the node is alive, until it is not.
func (s *services) beat() {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		if err := s.runs.Beat(); err != nil {
			s.n.opts.Logger.Warn("the journal of runs", "err", err)
		}
		select {
		case <-ticker.C:
		case <-s.n.ctx.Done():
			return
		}
	}
}

// ran notes the start or end of one of the role's processes.
func (v *served) ran(r keeper.Run) {
	one := runs.Run{
		Generation: r.Generation, Process: r.Number, PID: r.PID, What: r.Label,
		Started: r.Started, Ended: r.Ended, Outcome: outcome(r), Reason: r.Reason,
	}
	if err := v.s.runs.Note(v.name, one); err != nil {
		v.s.n.opts.Logger.Warn("a run is not kept", "role", v.name, "err", err)
	}
}

func outcome(r keeper.Run) runs.Outcome {
	switch {
	case r.Ended.IsZero():
		return runs.Running
	case !r.Told:
		return runs.Crashed
	case r.Reason != "":
		return runs.Killed
	}
	return runs.Left
}

// onRuns answers with the runs of a role.
func (s *services) onRuns(m bus.Message) {
	var q runs.Question
	if json.Unmarshal(m.Data, &q) != nil || m.Reply == "" {
		return
	}
	s.n.work(func() {
		a := runs.Answer{Node: s.n.ID(), Host: s.host, Runs: s.runs.Newest(q.Role, q.Count)}
		data, err := json.Marshal(a)
		for err == nil && len(data) > bus.MaxMessage { // the older ones have no room
			a.Runs = a.Runs[(len(a.Runs)+1)/2:]
			data, err = json.Marshal(a)
		}
		if err == nil {
			s.n.bus.Publish(m.Reply, data)
		}
	})
}
