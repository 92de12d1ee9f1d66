package role

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
)

// KV is the name of the store of records: role → Role.
const KV = "become_roles"

// Store is the records of a fleet.
type Store struct{ kv bus.KV }

// Open opens the records of the fleet on that bus.
func Open(ctx context.Context, b bus.Bus) (*Store, error) {
	kv, err := b.KV(ctx, bus.Spec{Name: KV})
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "open", "the roles", err)
	}
	return &Store{kv}, nil
}

// Get returns a role. fault.NotFound.
func (s *Store) Get(ctx context.Context, name string) (Role, error) {
	e, err := s.kv.Get(ctx, name)
	if kind := fault.KindOf(err); err != nil && (kind == fault.NotFound || kind == fault.Invalid) { // or no service can have that name
		return Role{}, fault.Text(fault.NotFound, "find service", name, "there is none of that name").WithHint("become ps lists them")
	}
	if err != nil {
		return Role{}, fault.New(fault.KindOf(err), "find service", name, err)
	}
	return read(e)
}

func read(e bus.Entry) (Role, error) {
	var r Role
	if err := json.Unmarshal(e.Value, &r); err != nil || r.Now.Number == 0 {
		return r, fault.Text(fault.Internal, "read role", e.Key, "its record is damaged")
	}
	r.Name, r.Revision = e.Key, e.Revision
	return r, nil
}

// List returns all roles, by name.
func (s *Store) List(ctx context.Context) ([]Role, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	roles := map[string]Role{}
	ready := make(chan struct{})
	err := s.Watch(ctx, func(name string, r *Role) {
		if r != nil {
			roles[name] = *r
		}
	}, func() { close(ready) })
	if err != nil {
		return nil, err
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "list roles", "", context.Cause(ctx))
	}
	cancel()
	all := make([]Role, 0, len(roles))
	for _, r := range roles {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Role) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Watch calls f with every role there is, then ready, then f with each change, one at a time, until
// ctx ends; r is nil when the role was removed. A damaged record is passed over.
func (s *Store) Watch(ctx context.Context, f func(name string, r *Role), ready func()) error {
	over := false
	err := s.kv.Watch(ctx, "", func(e bus.Entry) {
		switch {
		case e.Key == "" && !over:
			over = true
			ready()
		case e.Key == "":
		case e.Deleted:
			f(e.Key, nil)
		default:
			if r, err := read(e); err == nil {
				f(e.Key, &r)
			}
		}
	})
	if err != nil {
		return fault.New(fault.KindOf(err), "watch roles", "", err)
	}
	return nil
}

// Deploy lets the role become the edition, whose Number is not used, on those nodes. changed is false
// when it runs just so already.
func (s *Store) Deploy(ctx context.Context, name string, e Edition, nodes []string) (r Role, changed bool, err error) {
	if err := e.Spec.Check(); err != nil {
		return r, false, err
	}
	e.Since = time.Now().UTC()
	r, err = s.change(ctx, name, true, func(r *Role) (bool, error) {
		changed = r.deploy(e, nodes)
		return changed, nil
	})
	return r, changed, err
}

// Rollback lets the role become what it was before, or the newest edition before whose digest
// begins with to, or which is that stock server. fault.NotFound when there is none.
func (s *Store) Rollback(ctx context.Context, name, to, by string) (Role, error) {
	return s.change(ctx, name, false, func(r *Role) (bool, error) {
		if err := r.rollback(to, by); err != nil {
			return false, err
		}
		if r.State == Failed {
			r.State = Running
		}
		return true, nil
	})
}

// SetState starts, pauses or stops a role. One that was stopped starts as it was, and is not taken back. by says who, as in all that
// follows.
func (s *Store) SetState(ctx context.Context, name string, to State, by string) (Role, error) {
	return s.change(ctx, name, false, func(r *Role) (bool, error) {
		if r.State == to {
			return false, nil
		}
		if r.State == Stopped && to == Paused {
			return false, fault.Text(fault.Conflict, "pause", name, "it is stopped").WithHint("start it first: become start " + name)
		}
		r.note(by, r.State.into(to))
		// What was stopped before its probation was over did serve. Nothing serves in its place: if it cannot start now, as
		// when its address was taken meanwhile, that is no reason to become an older edition.
		r.Now.Proven = r.Now.Proven || r.State == Stopped && to == Running && r.Report == ""
		r.State = to
		return true, nil
	})
}

// Scale changes how many processes each node has.
func (s *Store) Scale(ctx context.Context, name string, procs int, by string) (Role, error) {
	return s.change(ctx, name, false, func(r *Role) (bool, error) {
		was := r.Now.Spec.WithDefaults().Procs
		r.Now.Spec.Procs = procs
		r.note(by, fmt.Sprintf("scaled from %d to %d processes", was, procs))
		return was != procs, r.Now.Spec.Check()
	})
}

// Restore lets the role become what another record of it says now: code, settings, nodes and state. Its history stays its own. fault.Conflict
// if the role is there, unless it may be replaced.
func (s *Store) Restore(ctx context.Context, from Role, by string, replace bool) (Role, error) {
	if err := from.Now.Spec.Check(); err != nil {
		return from, err
	}
	return s.change(ctx, from.Name, true, func(r *Role) (bool, error) {
		if r.Now.Number > 0 && !replace {
			return false, fault.Text(fault.Conflict, "restore", from.Name, "there is a service of that name")
		}
		e := from.Now
		e.Since, e.By, e.Proven = time.Now().UTC(), by, false
		r.become(e)
		r.Nodes, r.State, r.LogLevel = from.Nodes, from.State, from.LogLevel
		if r.State == Failed {
			r.State = Running
		}
		r.note(by, "restored as "+e.What())
		return true, nil
	})
}

// Restart has every node replace the processes, one after another. fault.Conflict unless it runs.
func (s *Store) Restart(ctx context.Context, name, by string) (Role, error) {
	return s.change(ctx, name, false, func(r *Role) (bool, error) {
		if r.State != Running {
			return false, fault.Text(fault.Conflict, "restart", name, "it is "+string(r.State)).WithHint("start it: become start " + name)
		}
		r.Restarts++
		r.note(by, "restarted")
		return true, nil
	})
}

// SetLogLevel changes from which level on the processes log, also those that run; empty: as their edition says. fault.Invalid
// for a level that there is not.
func (s *Store) SetLogLevel(ctx context.Context, name, level, by string) (Role, error) {
	if level != "" {
		l, err := slogs.ParseLevel(level)
		if err != nil {
			return Role{}, err
		}
		level = slogs.LevelName(l)
	}
	return s.change(ctx, name, false, func(r *Role) (bool, error) {
		if r.LogLevel == level {
			return false, nil
		}
		r.LogLevel = level
		r.note(by, "set the log level to "+cmp.Or(level, "the edition's"))
		return true, nil
	})
}

// TakeBack undoes an edition that failed on a node, unless another has taken its place, or it is
// proven. why is kept as Role.Report and its kind as Refused.
func (s *Store) TakeBack(ctx context.Context, name string, number uint64, why error) error {
	_, err := s.change(ctx, name, false, func(r *Role) (bool, error) { return r.takeBack(number, why), nil })
	return err
}

// Prove notes that an edition has stood its probation on a node.
func (s *Store) Prove(ctx context.Context, name string, number uint64) error {
	_, err := s.change(ctx, name, false, func(r *Role) (bool, error) {
		if r.Now.Number != number || r.Now.Proven {
			return false, nil
		}
		r.Now.Proven = true
		return true, nil
	})
	return err
}

// Remove removes a role; the nodes drain its processes and close its sockets. fault.NotFound.
func (s *Store) Remove(ctx context.Context, name string) error {
	if _, err := s.Get(ctx, name); err != nil {
		return err
	}
	return s.kv.Delete(ctx, name)
}

// change reads, changes and stores a role, again when somebody else was faster.
func (s *Store) change(ctx context.Context, name string, create bool, f func(*Role) (bool, error)) (Role, error) {
	for {
		r, err := s.Get(ctx, name)
		if err != nil && !(create && fault.KindOf(err) == fault.NotFound) {
			return r, err
		}
		r.Name = name
		changed, err := f(&r)
		if err != nil || !changed {
			return r, err
		}
		data, err := json.Marshal(r)
		if err != nil {
			return r, err
		}
		revision, err := s.kv.Swap(ctx, name, data, r.Revision)
		if err == nil {
			r.Revision = revision
			return r, nil
		}
		if fault.KindOf(err) != fault.Conflict {
			return r, fault.New(fault.KindOf(err), "change role", name, err)
		}
	}
}
