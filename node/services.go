package node

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/runs"
)

// services are the roles of the fleet, and what this node does for each.
type services struct {
	n       *Node
	host    string
	store   *role.Store
	holders master.Holders
	runs    *runs.Journal

	mu      sync.Mutex
	all     map[string]*served
	stopped bool
	still   bool // all stand still, for another program
}

func newServices(n *Node) (*services, error) {
	host, _ := os.Hostname()
	journal, err := n.openRuns()
	return &services{n: n, host: host, all: map[string]*served{}, runs: journal}, err
}

// openServices starts to serve what the fleet's records say; a fleet that lasts only as long as a command
// serves nothing, and says so.
func (n *Node) openServices() error {
	store, err := role.Open(n.ctx, n.bus)
	if err != nil {
		return err
	}
	s := n.services
	s.store = store
	sub, err := n.bus.Subscribe(n.ctx, role.Subject, "", s.onStatus)
	if err != nil {
		return err
	}
	n.subs = append(n.subs, sub)
	if sub, err = n.bus.Subscribe(n.ctx, runs.Subject, "", s.onRuns); err != nil {
		return err
	}
	n.subs = append(n.subs, sub)
	if n.opts.Embedded {
		return nil
	}
	n.wg.Go(s.beat)
	return store.Watch(n.ctx, s.hear, s.removeUnheard)
}

// hear takes what the record of a role says now; r is nil when it was removed.
func (s *services) hear(name string, r *role.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[name]
	if v == nil && r != nil && !s.stopped {
		v = newServed(s, name)
		v.still = s.still
		s.all[name] = v
	}
	if v != nil {
		v.want(r)
		s.startLocked(v)
	}
}

// startLocked begins to do what a role's record says, unless somebody does or nobody shall.
func (s *services) startLocked(v *served) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.runs && !v.still {
		v.runs, v.over = true, make(chan struct{})
		over := v.over
		s.n.wg.Go(func() { defer close(over); v.run() })
	}
}

// disown ends what the processes of roles that stand still have from this program.
func (s *services) disown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.all {
		v.disown()
	}
}

// forget drops a role whose goroutine ends, unless it came back in this moment.
func (s *services) forget(v *served) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !v.isRemoved() {
		return false
	}
	delete(s.all, v.name)
	if err := s.runs.Forget(v.name); err != nil {
		s.n.opts.Logger.Warn("a role's runs are not forgotten", "role", v.name, "err", err)
	}
	return true
}

// stop drains all services and returns when they are gone, or killed when the node's context
// ends.
func (s *services) stop() {
	s.mu.Lock()
	s.stopped = true
	var over []chan struct{}
	for _, v := range s.all {
		v.quit()
		s.startLocked(v) // one that was adopted, and not begun
		over = append(over, v.ended())
	}
	s.mu.Unlock()
	for _, c := range over {
		<-c
	}
}

// status describes what the node serves.
func (s *services) status() role.NodeStatus {
	s.mu.Lock()
	all := make([]*served, 0, len(s.all))
	for _, v := range s.all {
		all = append(all, v)
	}
	s.mu.Unlock()
	st := role.NodeStatus{Node: s.n.ID(), Host: s.host, Roles: []role.Status{}}
	for _, v := range all {
		if one, mine := v.status(); mine {
			st.Roles = append(st.Roles, one)
		}
	}
	slices.SortFunc(st.Roles, func(a, b role.Status) int { return strings.Compare(a.Name, b.Name) })
	return st
}

func (s *services) onStatus(m bus.Message) {
	if m.Reply == "" {
		return
	}
	s.n.work(func() {
		if data, err := answer(s.status(), bus.MaxMessage); err == nil {
			s.n.bus.Publish(m.Reply, data)
		}
	})
}

// answer encodes a status in at most so many bytes: roles with the most processes lose their list first.
func answer(st role.NodeStatus, most int) ([]byte, error) {
	for {
		data, err := json.Marshal(st)
		if err != nil || len(data) <= most || len(st.Roles) == 0 {
			return data, err
		}
		longest := slices.MaxFunc(st.Roles, func(a, b role.Status) int { return cmp.Compare(len(a.Processes), len(b.Processes)) })
		if len(longest.Processes) == 0 {
			return data, nil // the bus says that it is too long
		}
		for i := range st.Roles {
			if len(st.Roles[i].Processes) == len(longest.Processes) {
				st.Roles[i].Processes = nil
			}
		}
	}
}
