package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
)

// deploy starts an edition, or takes it back for all nodes if it cannot be started.
func (v *served) deploy(ctx context.Context, r role.Role) error {
	if taken, err := v.configure(ctx, r); taken || err != nil {
		return err
	}
	v.at("starting")
	program, err := v.program(ctx, r.Now)
	var spec master.Spec
	if err == nil {
		spec, err = v.spec(ctx, r.Now)
	}
	if err == nil {
		err = v.master.Deploy(ctx, spec, program)
	}
	if err == nil {
		v.mu.Lock()
		st := v.master.Status()
		v.before, v.edition, v.generation, v.unset, v.tried = v.edition, r.Now, st.Generation, st.Undone, nil
		v.restarts = r.Restarts
		v.mu.Unlock()
		v.release()
		return nil
	}
	v.release()
	_, elsewhere := errors.AsType[*wrongPlatform](err)
	if ctx.Err() != nil || elsewhere || unreachable(err) {
		return err
	}
	return v.takeBack(ctx, r, err)
}

// takeBack undoes an edition that failed here, for all nodes, unless it is proven.
func (v *served) takeBack(ctx context.Context, r role.Role, err error) error {
	if r.Now.Proven {
		return err
	}
	why := err
	if r.Now.Stock != "" {
		why = said(err)
	}
	if back := v.s.store.TakeBack(ctx, v.name, r.Now.Number, v.told(why)); back != nil {
		return fmt.Errorf("%w; and it cannot be taken back: %v", err, back)
	}
	return err
}

// said is err with the kind that the process itself gave it. It is for stock servers, of which become serve tells the same kinds; what
// a program calls its errors is its own affair.
func said(err error) error {
	kind := fault.KindOf(err)
	for e, ok := errors.AsType[*fault.Error](err); ok && kind == fault.Remote; e, ok = errors.AsType[*fault.Error](e.Err) {
		kind = e.Kind
	}
	return fault.New(kind, "", "", err)
}

// configure gives an edition that differs in its settings only to the processes that run, if they can take them. taken is
// false if they cannot, and it has to be deployed.
func (v *served) configure(ctx context.Context, r role.Role) (taken bool, err error) {
	same := v.edition
	same.Spec.Settings = r.Now.Spec.Settings
	if v.edition.Number == 0 || !same.SameCode(r.Now) || !v.master.Status().Live {
		return false, nil
	}
	v.at("configuring")
	spec, err := v.spec(ctx, r.Now)
	if err != nil {
		return false, err
	}
	err = v.master.Configure(ctx, spec.Settings)
	switch {
	case fault.KindOf(err) == fault.Invalid && err != nil: // refused
		return false, v.takeBack(ctx, r, err)
	case err != nil && (ctx.Err() != nil || fault.KindOf(err) == fault.Canceled):
		return false, err
	case err != nil: // who starts anew may do better
		v.s.n.opts.Logger.Warn("settings are not taken live", "role", v.name, "err", err)
		return false, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tried = append(v.tried, v.edition)
	v.tried = v.tried[max(0, len(v.tried)-triedKept):]
	v.edition = r.Now
	return true, nil
}

// triedKept is how many editions are remembered whose settings may come back.
const triedKept = 10

// undone returns the edition that the keeper has undone by itself, and why.
func (v *served) undone() (role.Edition, string) {
	if v.edition.Number == 0 {
		return role.Edition{}, ""
	}
	st := v.master.Status()
	v.mu.Lock()
	defer v.mu.Unlock()
	was := v.edition
	switch {
	case st.Generation != v.generation:
		v.edition, v.before, v.generation, v.tried = v.before, role.Edition{}, st.Generation, nil
		v.unset = st.Undone
	case st.Undone != v.unset && len(v.tried) > 0:
		v.unset++
		last := len(v.tried) - 1
		v.edition, v.tried = v.tried[last], v.tried[:last]
	default:
		v.unset = st.Undone
		return role.Edition{}, ""
	}
	return was, st.Report
}

// unreachable says that an error is the bus's, and nothing the edition can be blamed for.
func unreachable(err error) bool {
	_, ok := errors.AsType[*fetchError](err)
	return ok
}

// fetchError says that code could not be had now.
type fetchError struct{ error }

func (e *fetchError) Unwrap() error { return e.error }

// fetched marks the errors of a bus that cannot be reached.
func fetched(err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Denied, fault.Invalid:
		return err
	}
	return &fetchError{err}
}

// program returns the executable of an edition, which is kept until release.
func (v *served) program(ctx context.Context, e role.Edition) (p master.Program, err error) {
	n := v.s.n
	p.Env, p.Dir, p.Label = n.serviceEnviron(), n.home.Dir(), e.What()
	if e.Stock != "" {
		p.Path, err = n.hostProgram()
		return p, err
	}
	m, err := n.store.Manifest(ctx, e.Digest)
	if err != nil {
		return p, fetched(err)
	}
	if m.Kind != bundle.Native {
		return p, fault.Text(fault.Invalid, "serve", v.name, "the bundle is no program")
	}
	if !m.RunsHere() {
		return p, fault.New(fault.Invalid, "serve", v.name, &wrongPlatform{m.Platform()})
	}
	path, _, release, err := n.cache.Path(ctx, e.Digest, n.store)
	if err != nil {
		return p, fetched(err)
	}
	if v.releases[e.Digest] != nil {
		release() // once is enough
	} else {
		v.releases[e.Digest] = release
	}
	p.Path = path
	return p, nil
}

// release gives code back that cannot be needed again.
func (v *served) release() {
	for digest, f := range v.releases {
		if digest != v.edition.Digest && digest != v.before.Digest {
			f()
			delete(v.releases, digest)
		}
	}
}
