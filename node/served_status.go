package node

import (
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/role"
)

// status describes the role here. mine is false for a role of other nodes.
func (v *served) status() (st role.Status, mine bool) {
	v.mu.Lock()
	st = role.Status{
		Name: v.name, Seen: v.seen, Edition: v.edition.Number, Reason: v.reason,
		What: v.record.Now.What(), Procs: v.record.Now.Spec.WithDefaults().Procs,
	}
	record, m, busy := v.record, v.master, v.busy
	v.mu.Unlock()
	mine = record.Wants(v.s.n.ID(), v.s.host)
	st.Report = record.Report
	if m == nil {
		st.State = string(record.State)
		if record.State == role.Running || record.State == role.Paused {
			st.State = "starting"
		}
		return st, mine
	}
	k := m.Status()
	st.Sockets = m.Sockets()
	st.Generation, st.Probation, st.Held = k.Generation, k.Probation, k.Held
	if st.Report == "" {
		st.Report = k.Report
	}
	for _, p := range k.Processes {
		one := processStatus(p)
		st.Open += one.Open
		st.Accepted += one.Accepted
		if p.Generation == k.Generation && p.State == keeper.Ready {
			st.Ready++
		}
		st.Processes = append(st.Processes, one)
	}
	st.State = stateOf(k, record.State, busy, st.Ready)
	return st, mine || len(st.Processes) > 0
}

// stateOf is one word for what a keeper does of what is wanted.
func stateOf(k keeper.Status, want role.State, busy string, ready int) string {
	switch {
	case busy == "draining":
		return busy
	case k.Paused || want == role.Paused && k.Generation == 0 && busy == "":
		return "paused"
	case ready > 0:
		return "serving"
	}
	return "starting"
}

func processStatus(p keeper.ProcessStatus) role.Process {
	out := role.Process{
		Generation: p.Generation, Number: p.Number, State: p.State, PID: p.PID, Started: p.Started,
		Open: p.Open, Accepted: p.Accepted, Restarts: p.Restarts, Reason: p.Reason,
	}
	if p.PID > 0 {
		if rss, cpu, err := process.Usage(p.PID); err == nil {
			out.RSS, out.CPU = rss, cpu.Seconds()
		}
	}
	return out
}
