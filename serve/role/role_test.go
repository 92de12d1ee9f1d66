package role_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
)

func open(t *testing.T) (*role.Store, bus.Bus) {
	t.Helper()
	b := mem.New().Connect()
	t.Cleanup(func() { b.Close() })
	s, err := role.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

func edition(digest string, procs int) role.Edition {
	return role.Edition{Digest: digest, Spec: master.Spec{Procs: procs, Listen: []string{":80"}}, By: "me"}
}

func deploy(t *testing.T, s *role.Store, e role.Edition) role.Role {
	t.Helper()
	r, changed, err := s.Deploy(t.Context(), "web", e, nil)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	return r
}

func numbers(r role.Role) (all []uint64) {
	for _, e := range r.Before {
		all = append(all, e.Number)
	}
	return all
}

func TestDeploy_KeepsWhatStoodBefore(t *testing.T) {
	s, _ := open(t)
	deploy(t, s, edition("one", 2))
	if r, changed, err := s.Deploy(t.Context(), "web", edition("one", 2), nil); err != nil || changed || r.Now.Number != 1 {
		t.Errorf("the same again: %+v, %v, %v", r, changed, err)
	}
	deploy(t, s, edition("two", 2))
	r, err := s.Rollback(t.Context(), "web", "", "you")
	if err != nil || r.Now.Digest != "one" || r.Now.Number != 3 || r.Now.By != "you" || !slices.Equal(numbers(r), []uint64{2}) {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := s.Rollback(t.Context(), "web", "three", "you"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	for range 12 {
		deploy(t, s, edition("two", 2))
		r = deploy(t, s, edition("one", 2))
	}
	if len(r.Before) != 10 || r.Now.Number != 27 {
		t.Errorf("%d editions before %d", len(r.Before), r.Now.Number)
	}
	if _, _, err := s.Deploy(t.Context(), "web", edition("one", -1), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestConfigure_IsAnEditionAndSaysWhatChanged(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	deploy(t, s, edition("one", 2))
	set := func(text string) func(json.RawMessage) (json.RawMessage, error) {
		return func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(text), nil }
	}
	r, changed, err := s.Configure(ctx, "web", "me", set(`{"a":{"b":1},"c":"x"}`))
	if err != nil || !changed || r.Now.Number != 2 || r.Now.Digest != "one" || r.Now.Proven || len(r.Before) != 1 {
		t.Fatalf("got %+v, %v, %v", r, changed, err)
	}
	if r, changed, err = s.Configure(ctx, "web", "me", set(` { "c":"x", "a":{"b": 1}}`)); err != nil || changed || r.Now.Number != 2 {
		t.Errorf("the same again: %+v, %v, %v", r, changed, err)
	}
	if r, _, err = s.Configure(ctx, "web", "you", set(`{"a":{"b":2},"d":[1]}`)); err != nil {
		t.Fatal(err)
	}
	last := r.Changes[len(r.Changes)-1]
	if last.By != "you" || last.Edition != 3 || !last.Settings || last.Did != `a.b=2 (was 1), d=[1], c unset (was "x")` {
		t.Errorf("got %+v", last)
	}
	if _, _, err = s.Configure(ctx, "web", "me", set(`{`)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	for range 150 {
		if _, err := s.Restart(ctx, "web", "me"); err != nil {
			t.Fatal(err)
		}
	}
	if r, err = s.Get(ctx, "web"); err != nil || len(r.Changes) != 100 {
		t.Errorf("%d changes, %v", len(r.Changes), err)
	}
}

func TestRestore_IsWhatItWasAndStaysOutOfTheWay(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	old := role.Role{Name: "web", Now: edition("one", 2), State: role.Stopped, Nodes: []string{"mill"}, LogLevel: "DEBUG"}
	r, err := s.Restore(ctx, old, "me", false)
	if err != nil || r.Now.Number != 1 || r.State != role.Stopped || r.Now.By != "me" || r.LogLevel != "DEBUG" || !slices.Equal(r.Nodes, old.Nodes) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if _, err := s.Restore(ctx, old, "me", false); fault.KindOf(err) != fault.Conflict {
		t.Errorf("it is there: %v", err)
	}
	old.Now, old.State = edition("two", 2), role.Failed
	if r, err = s.Restore(ctx, old, "me", true); err != nil || r.Now.Digest != "two" || r.Now.Proven || r.State != role.Running || !slices.Equal(numbers(r), []uint64{1}) {
		t.Errorf("got %+v, %v", r, err)
	}
	old.Now = edition("two", -1)
	if _, err := s.Restore(ctx, old, "me", true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestTakeBack_UndoesWhatIsNotProven(t *testing.T) {
	s, _ := open(t)
	get := func() role.Role {
		r, err := s.Get(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	back := func(number uint64) {
		if err := s.TakeBack(t.Context(), "web", number, fault.Text(fault.Lost, "", "", "it died")); err != nil {
			t.Fatal(err)
		}
	}
	deploy(t, s, edition("one", 2))
	back(1)
	if r := get(); r.State != role.Failed || r.Report != "it died" || r.Now.Number != 1 {
		t.Errorf("the only one: %+v", r)
	}
	deploy(t, s, edition("two", 2))
	if r := get(); r.State != role.Running || r.Report != "" {
		t.Errorf("deployed: %+v", r)
	}
	if err := s.Prove(t.Context(), "web", 2); err != nil {
		t.Fatal(err)
	}
	back(2)
	if r := get(); r.Now.Digest != "two" || r.Report != "" {
		t.Errorf("a proven one was taken back: %+v", r)
	}
	deploy(t, s, edition("three", 2))
	back(2) // too late for that
	back(3)
	back(3) // by the second node
	if r := get(); r.Now.Digest != "two" || r.Now.Number != 4 || !r.Now.Proven || r.Report != "it died" || len(r.Before) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTakeBack_LeavesWhatWasStoppedAndStarted(t *testing.T) {
	s, _ := open(t)
	start := func() role.Role {
		for _, to := range []role.State{role.Stopped, role.Running} {
			if _, err := s.SetState(t.Context(), "web", to, "me"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.TakeBack(t.Context(), "web", 2, fault.Text(fault.Conflict, "", "", "its address is taken")); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	deploy(t, s, edition("one", 2))
	deploy(t, s, edition("two", 2))
	if r := start(); r.Now.Digest != "two" || r.State != role.Running || !slices.Equal(numbers(r), []uint64{1}) {
		t.Errorf("got %+v", r)
	}
	// What never served is tried as if it were new.
	s, _ = open(t)
	deploy(t, s, edition("one", 2))
	if err := s.TakeBack(t.Context(), "web", 1, fault.Text(fault.Lost, "", "", "it died")); err != nil {
		t.Fatal(err)
	}
	if r := start(); r.Now.Proven {
		t.Errorf("got %+v", r)
	}
}

func TestChanges_AreNotLostWhenManyAreMade(t *testing.T) {
	s, _ := open(t)
	deploy(t, s, edition("one", 2))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.Restart(t.Context(), "web", "me"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, _ := s.Get(t.Context(), "web"); r.Restarts != 20 {
		t.Errorf("%d restarts of 20", r.Restarts)
	}
}

func TestState_ChangesMakeSense(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	deploy(t, s, edition("one", 2))
	if r, err := s.SetState(ctx, "web", role.Stopped, "me"); err != nil || r.State != role.Stopped {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := s.SetState(ctx, "web", role.Paused, "me"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("pausing what is stopped: %v", err)
	}
	if _, err := s.Restart(ctx, "web", "me"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("restarting what is stopped: %v", err)
	}
	if _, err := s.Scale(ctx, "web", 5000, "me"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("5000 processes: %v", err)
	}
	if r, err := s.Scale(ctx, "web", 5, "me"); err != nil || r.Now.Spec.Procs != 5 || r.Now.Number != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, f := range []func(string) error{
		func(name string) error { return s.Remove(ctx, name) },
		func(name string) error { _, err := s.SetState(ctx, name, role.Running, "me"); return err },
		func(name string) error { _, err := s.Rollback(ctx, name, "", ""); return err },
	} {
		if err := f("nothing"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("got %v", err)
		}
	}
}

func TestWatch_PassesOverWhatIsDamaged(t *testing.T) {
	s, b := open(t)
	kv, err := b.KV(t.Context(), bus.Spec{Name: role.KV})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"text": "nonsense", "empty": "{}"} {
		if _, err := kv.Put(t.Context(), name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), name); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: got %v", name, err)
		}
	}
	deploy(t, s, edition("one", 2))
	all, err := s.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "web" {
		t.Errorf("got %+v, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := make(chan string, 4)
	ready := make(chan struct{})
	if err := s.Watch(ctx, func(name string, r *role.Role) {
		if r == nil {
			name = "no " + name
		}
		changes <- name
	}, func() { close(ready) }); err != nil {
		t.Fatal(err)
	}
	<-ready
	if err := s.Remove(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if a, b := <-changes, <-changes; a != "web" || b != "no web" {
		t.Errorf("got %s, %s", a, b)
	}
}

func TestRole_WantsNodesByIDAndHost(t *testing.T) {
	r := role.Role{Nodes: []string{"abc", "mill"}}
	for _, c := range []struct {
		node, host string
		want       bool
	}{{"abcdef", "x", true}, {"xabc", "mill", true}, {"xabc", "windmill", false}} {
		if got := r.Wants(c.node, c.host); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	if !(role.Role{}).Wants("any", "") || (role.Role{Nodes: []string{""}}).Wants("any", "") {
		t.Error("no nodes means every node, an empty name none")
	}
}

func FuzzRead(f *testing.F) {
	good, _ := json.Marshal(role.Role{Now: edition("one", 1), State: role.Running})
	f.Add(good)
	f.Add([]byte(`{"now":{"number":1},"state":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, b := open(t)
		kv, err := b.KV(t.Context(), bus.Spec{Name: role.KV})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), "web", data); err != nil {
			return
		}
		r, err := s.Get(t.Context(), "web")
		if err != nil {
			return
		}
		r.Now.What()
		r.Now.Spec.Check()
		s.TakeBack(t.Context(), "web", r.Now.Number, errors.New("why"))
	})
}
