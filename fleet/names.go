package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Deployment is what stands behind a name, and what stood there before.
type Deployment struct {
	Name      string    `json:"name"`
	Digest    string    `json:"digest"`
	Functions []string  `json:"functions"`
	Since     time.Time `json:"since"`
	By        string    `json:"by,omitempty"`
	// History holds the versions before, newest first, at most 20.
	History []Version `json:"history,omitempty"`
	// Revision is the store's; it grows with every change.
	Revision uint64 `json:"-"`
}

// Version is a bundle that stood behind a name.
type Version struct {
	Digest    string    `json:"digest"`
	Functions []string  `json:"functions"`
	Since     time.Time `json:"since"`
	By        string    `json:"by,omitempty"`
}

const historyLength = 20

// names mirrors the fleet's names from the first use on.
type names struct {
	kv bus.KV

	watch begun

	mu    sync.Mutex
	known map[string]Deployment // nil before the first use
}

// Resolve returns what stands behind a name now. fault.NotFound lists the names there are.
func (f *Fleet) Resolve(ctx context.Context, name string) (Deployment, error) {
	if err := f.watchNames(ctx); err != nil {
		return Deployment{}, err
	}
	f.names.mu.Lock()
	d, ok := f.names.known[name]
	f.names.mu.Unlock()
	if ok {
		return d, nil
	}
	// The mirror may be a moment behind.
	e, err := f.names.kv.Get(ctx, name)
	if err == nil {
		return readDeployment(e)
	}
	if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Invalid { // nothing can have such a name
		return Deployment{}, err
	}
	return Deployment{}, fault.Text(fault.NotFound, "find", name, "nothing is deployed under that name; there is "+f.listNames()).
		WithHint("deploy it with: become deploy PATH")
}

func (f *Fleet) listNames() string {
	f.names.mu.Lock()
	defer f.names.mu.Unlock()
	if len(f.names.known) == 0 {
		return "nothing yet"
	}
	var all []string
	for name := range f.names.known {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// watchNames returns when all names are known.
func (f *Fleet) watchNames(ctx context.Context) error {
	return f.names.watch.wait(ctx, f, "read names", f.names.follow)
}

// follow begins a watch that lasts until ctx ends.
func (n *names) follow(ctx context.Context) error {
	n.mu.Lock()
	n.known = map[string]Deployment{}
	n.mu.Unlock()
	all := make(chan struct{})
	var once sync.Once
	err := n.kv.Watch(ctx, "", func(e bus.Entry) {
		if e.Key == "" {
			once.Do(func() { close(all) })
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if e.Revision < n.known[e.Key].Revision { // this process's own change was faster
			return
		}
		if e.Deleted {
			delete(n.known, e.Key)
		} else if d, err := readDeployment(e); err == nil {
			n.known[e.Key] = d
		}
	})
	if err != nil {
		return err
	}
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Canceled, "read names", "", errClosed)
	}
}

func readDeployment(e bus.Entry) (Deployment, error) {
	var d Deployment
	if err := json.Unmarshal(e.Value, &d); err != nil {
		return d, fault.New(fault.Internal, "read name", e.Key, errors.New("its record is damaged"))
	}
	d.Name, d.Revision = e.Key, e.Revision
	return d, nil
}

// Names lists the deployments in order of their names.
func (f *Fleet) Names(ctx context.Context) ([]Deployment, error) {
	if err := f.watchNames(ctx); err != nil {
		return nil, err
	}
	f.names.mu.Lock()
	defer f.names.mu.Unlock()
	all := make([]Deployment, 0, len(f.names.known))
	for _, d := range f.names.known {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Deployment) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Deploy points a name at a bundle. Deploying what stands there already
// changes nothing.
func (f *Fleet) Deploy(ctx context.Context, name, digest string, functions []string, by string) (Deployment, error) {
	return f.change(ctx, name, func(d *Deployment) error {
		if d.Digest == digest {
			return nil
		}
		d.become(Version{Digest: digest, Functions: functions, Since: time.Now().UTC(), By: by})
		return nil
	})
}

// Rollback points a name at the version before, or at the newest one before
// whose digest starts with to. The version left is kept in the history.
func (f *Fleet) Rollback(ctx context.Context, name, to, by string) (Deployment, error) {
	return f.change(ctx, name, func(d *Deployment) error {
		if d.Digest == "" {
			return fault.Text(fault.NotFound, "roll back", name, "nothing is deployed under that name")
		}
		i := slices.IndexFunc(d.History, func(v Version) bool { return v.Digest != d.Digest && strings.HasPrefix(v.Digest, to) })
		if i < 0 {
			return fault.Text(fault.NotFound, "roll back", name, "there is no such version before").WithHint("become describe " + name + " lists them")
		}
		v := d.History[i]
		v.Since, v.By = time.Now().UTC(), by
		d.History = slices.Delete(d.History, i, i+1)
		d.become(v)
		return nil
	})
}

// become makes v the present version.
func (d *Deployment) become(v Version) {
	if d.Digest != "" {
		old := Version{Digest: d.Digest, Functions: d.Functions, Since: d.Since, By: d.By}
		d.History = append([]Version{old}, d.History...)
		d.History = d.History[:min(len(d.History), historyLength)]
	}
	d.Digest, d.Functions, d.Since, d.By = v.Digest, v.Functions, v.Since, v.By
}

// change reads, changes and stores a name, again when somebody else was faster.
func (f *Fleet) change(ctx context.Context, name string, edit func(*Deployment) error) (Deployment, error) {
	for {
		d := Deployment{Name: name}
		e, err := f.names.kv.Get(ctx, name)
		if err == nil {
			d, err = readDeployment(e)
		}
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return d, err
		}
		before := d.Digest
		if err := edit(&d); err != nil {
			return d, err
		}
		if d.Digest == before {
			return d, nil
		}
		data, err := json.Marshal(d)
		if err != nil {
			return d, err
		}
		d.Revision, err = f.names.kv.Swap(ctx, name, data, d.Revision)
		if err == nil {
			f.learn(d)
			return d, nil
		}
		if fault.KindOf(err) != fault.Conflict {
			return d, err
		}
	}
}

// learn puts this process's own change into the mirror, which may be a moment
// behind: its next call by that name must find the new version.
func (f *Fleet) learn(d Deployment) {
	f.names.mu.Lock()
	defer f.names.mu.Unlock()
	if f.names.known != nil && d.Revision > f.names.known[d.Name].Revision {
		f.names.known[d.Name] = d
	}
}

// Forget removes a name. Its bundles stay.
func (f *Fleet) Forget(ctx context.Context, name string) error { return f.names.kv.Delete(ctx, name) }
