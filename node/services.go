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
)

// services are the roles of the fleet, and what this node does for each.
type services struct {
	n       *Node
	host    string
	store   *role.Store
	holders master.Holders

	mu      sync.Mutex
	all     map[string]*served
	stopped bool
}

// openServices starts to serve what the fleet's records say; a fleet that lasts only as long as a command
// serves nothing, and says so.
func (n *Node) openServices() error {
	store, err := role.Open(n.ctx, n.bus)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	s := &services{n: n, host: host, store: store, all: map[string]*served{}}
	n.services = s
	sub, err := n.bus.Subscribe(role.Subject, "", s.onStatus)
	if err != nil {
		return err
	}
	n.subs = append(n.subs, sub)
	if n.opts.Embedded {
		return nil
	}
	return store.Watch(n.ctx, s.hear, func() {})
}

// hear takes what the record of a role says now; r is nil when it was removed.
func (s *services) hear(name string, r *role.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[name]
	if v == nil && r != nil && !s.stopped {
		v = newServed(s, name)
		s.all[name] = v
		s.n.wg.Go(v.run)
	}
	if v != nil {
		v.want(r)
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
	return true
}

// stop drains all services and returns when they are gone, or killed when the node's context
// ends.
func (s *services) stop() {
	s.mu.Lock()
	s.stopped = true
	all := make([]*served, 0, len(s.all))
	for _, v := range s.all {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		v.quit()
	}
	for _, v := range all {
		<-v.over
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
