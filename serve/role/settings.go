package role

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Configure gives the role the settings that f makes of those it has now, JSON both; empty: the program's own. It is a
// new edition, which is swapped for the old one, or taken live by programs that can. changed is false when
// they are as they were. f is called again when somebody else was faster.
func (s *Store) Configure(ctx context.Context, name, by string, f func(now json.RawMessage) (json.RawMessage, error)) (r Role, changed bool, err error) {
	r, err = s.change(ctx, name, false, func(r *Role) (bool, error) {
		next, err := f(r.Now.Spec.Settings)
		if err != nil {
			return false, err
		}
		changed, err = r.configure(next, by)
		return changed, err
	})
	return r, changed, err
}

func (r *Role) configure(next json.RawMessage, by string) (changed bool, err error) {
	e := r.Now
	did := difference(e.Spec.Settings, next)
	if did == "" {
		return false, nil
	}
	e.Spec.Settings, e.Proven, e.Since, e.By = next, false, time.Now().UTC(), by
	if err := e.Spec.Check(); err != nil {
		return false, fault.New(fault.Invalid, "configure", r.Name, err)
	}
	failed := r.State == Failed
	r.become(e)
	if failed {
		r.State = Running
	}
	r.note(by, did).Settings = true
	return true, nil
}

// difference says what is another in two settings: greeting="hello" (was "hi"). Empty if nothing is.
func difference(was, is json.RawMessage) string {
	old, now := leaves(was), leaves(is)
	var all []string
	for _, path := range slices.Sorted(maps.Keys(now)) {
		before, there := old[path]
		switch {
		case !there:
			all = append(all, path+"="+now[path])
		case before != now[path]:
			all = append(all, fmt.Sprintf("%s=%s (was %s)", path, now[path], before))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(old)) {
		if _, there := now[path]; !there {
			all = append(all, fmt.Sprintf("%s unset (was %s)", path, old[path]))
		}
	}
	return strings.Join(all, ", ")
}

// leaves are the single values in settings, by their paths, as compact JSON. Lists are one value.
func leaves(data json.RawMessage) map[string]string {
	all := map[string]string{}
	if len(data) > 0 {
		collect(all, "", data)
	}
	return all
}

func collect(all map[string]string, path string, data json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) == nil && fields != nil {
		for name, value := range fields {
			collect(all, strings.TrimPrefix(path+"."+name, "."), value)
		}
		if len(fields) > 0 || path == "" {
			return
		}
	}
	var b bytes.Buffer
	if json.Compact(&b, data) == nil {
		all[path] = b.String()
	}
}
