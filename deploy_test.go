package become_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/universal-server/become"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
)

var scripted = become.Config{Scripts: func(name string, source []byte) (engine.Engine, error) {
	return js.Open(source, &js.Options{Name: name})
}}

func script(body string) become.Script {
	return become.Script{Source: "exports.times = " + body, Functions: []string{"times"}}
}

func TestDeploy_SwapsAndRollsBack(t *testing.T) {
	f, ctx := alone(t, scripted), soon(t)
	times, err := become.Named[int, int]("by.times")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := times.Call(ctx, f, 1); become.KindOf(err) != become.NotFound {
		t.Errorf("before: %v, want not found", err)
	}
	says := func(want int) {
		t.Helper()
		// The very next call of every kind.
		if v, err := times.Call(ctx, f, 10); v != want || err != nil {
			t.Errorf("a call: %v, %v; want %d", v, err, want)
		}
		for a := range times.Map(ctx, f, slices.Values([]int{10, 10})) {
			if a.Value != want || a.Err != nil {
				t.Errorf("a map: %v, %v; want %d", a.Value, a.Err, want)
			}
		}
		j, err := times.Submit(ctx, f, 10)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := j.Wait(ctx); v != want || err != nil {
			t.Errorf("a job: %v, %v; want %d", v, err, want)
		}
	}
	v2, err := f.Deploy(ctx, "by", script("n => n * 2"))
	if err != nil {
		t.Fatal(err)
	}
	says(20)
	v3, err := f.Deploy(ctx, "by", script("n => n * 3"))
	if err != nil || v3.Digest == v2.Digest || !slices.Equal(v3.Functions, []string{"times"}) {
		t.Fatal(v3, err)
	}
	says(30)
	if again, err := f.Deploy(ctx, "by", script("n => n * 3")); err != nil || again.Digest != v3.Digest || again.Since != v3.Since {
		t.Errorf("the same again: %v, %v; want no change", again, err)
	}
	back, err := f.Rollback(ctx, "by")
	if err != nil || back.Digest != v2.Digest {
		t.Errorf("rolled back to %v, %v; want %s", back, err, v2.Digest)
	}
	says(20)
	if _, err := f.Rollback(ctx, "nothing"); become.KindOf(err) != become.NotFound {
		t.Errorf("rolling back nothing: %v, want not found", err)
	}
}

func TestDeploy_ChangesNothingWhenTheNewVersionCannotStart(t *testing.T) {
	f, ctx := alone(t, scripted), soon(t)
	if _, err := f.Rollback(ctx, "good"); become.KindOf(err) != become.NotFound {
		t.Error(err)
	}
	if _, err := f.Deploy(ctx, "good", script("n => n * 2")); err != nil {
		t.Fatal(err)
	}
	for source, text := range map[string]string{"n => {": "good", "1": "exports no function"} {
		if _, err := f.Deploy(ctx, "good", script(source)); become.KindOf(err) != become.Invalid || err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want invalid with %q", source, err, text)
		}
	}
	for name, s := range map[string]become.Script{"a b": script("n => n"), "no-functions": {Source: "exports.f = 1"}, "bad-function": {Functions: []string{"a.b"}}} {
		if _, err := f.Deploy(ctx, name, s); become.KindOf(err) != become.Invalid || err == nil {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	times, _ := become.Named[int, int]("good.times")
	if v, err := times.Call(ctx, f, 10); v != 20 || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	other, _ := become.Named[int, int]("good.other")
	if _, err := other.Call(ctx, f, 10); become.KindOf(err) != become.NotFound || !strings.Contains(err.Error(), "times") {
		t.Errorf("a function it lacks: %v, want not found, naming those there are", err)
	}
}

func TestDeploy_NeedsAnEngine(t *testing.T) {
	f, ctx := alone(t), soon(t)
	if _, err := f.Deploy(ctx, "x", script("n => n")); become.KindOf(err) != become.Invalid || err == nil || !strings.Contains(err.Error(), "nothing but its own functions") {
		t.Errorf("got %v", err)
	}
}

// A call that runs ends on the version it began on.
func TestDeploy_RunningCallsEndOnTheirVersion(t *testing.T) {
	f, ctx := alone(t, scripted), soon(t)
	times, _ := become.Named[int, int]("slow.times")
	const late = `async n => { await new Promise(done => setTimeout(done, 50)); return n * %s }`
	if _, err := f.Deploy(ctx, "slow", script(strings.Replace(late, "%s", "2", 1))); err != nil {
		t.Fatal(err)
	}
	var old []*become.Future[int]
	for range 10 { // some run, some wait
		old = append(old, times.Go(ctx, f, 1))
	}
	if _, err := f.Deploy(ctx, "slow", script(strings.Replace(late, "%s", "3", 1))); err != nil {
		t.Fatal(err)
	}
	if v, err := times.Call(ctx, f, 1); v != 3 || err != nil {
		t.Errorf("a new call: %v, %v; want 3", v, err)
	}
	got, err := become.Gather(ctx, old...)
	if err != nil || slices.ContainsFunc(got, func(v int) bool { return v != 2 }) {
		t.Errorf("the old ones: %v, %v; want 2", got, err)
	}
}
