package manners_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
)

func TestOver_WhoRunsAProgramGoesFirst(t *testing.T) {
	program := manners.Manners{MaxConns: 10, AcceptRate: 5, AcceptBurst: 50, IdleMS: 1000, MaxBody: 1 << 20}
	got := manners.Manners{MaxConns: manners.None, AcceptRate: 7, ReadMS: 3}.Over(program)
	want := manners.Manners{MaxConns: manners.None, AcceptRate: 7, ReadMS: 3, IdleMS: 1000, MaxBody: 1 << 20}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (manners.Manners{}).Over(program); got != program {
		t.Errorf("got %+v", got)
	}
}

func TestBurst_IsWhatASecondAllows(t *testing.T) {
	for rate, want := range map[float64]int{0.2: 1, 1: 1, 2.5: 3, 1e300: math.MaxInt32} {
		if got := (manners.Manners{AcceptRate: rate}).Burst(); got != want {
			t.Errorf("%v: got %d, want %d", rate, got, want)
		}
	}
	if got := (manners.Manners{AcceptRate: 100, AcceptBurst: 4}).Burst(); got != 4 {
		t.Errorf("got %d", got)
	}
}

func TestTimes(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{0: time.Hour, -time.Second: 0, time.Microsecond: time.Millisecond, time.Minute: time.Minute} {
		if got := manners.Within(manners.MS(d), time.Hour); got != want {
			t.Errorf("%v: got %v, want %v", d, got, want)
		}
	}
	if got := manners.Within(math.MaxInt64, 0); got <= 0 {
		t.Errorf("got %v", got)
	}
}

func TestCheck_RefusesWhatCannotBe(t *testing.T) {
	for _, m := range []manners.Manners{
		{AcceptRate: math.NaN()}, {AcceptRate: math.Inf(1)}, {AcceptBurst: 3}, {IdleMS: math.MaxInt64},
		{MaxHeader: -1}, {MaxHeader: 1 << 40},
	} {
		if err := m.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", m, err)
		}
	}
	if err := (manners.Manners{MaxConns: -1, IdleMS: -1, AcceptRate: -1, MaxBody: -1}).Check(); err != nil {
		t.Error(err)
	}
}

func TestFlags_FillTheFieldsAndTravelAsJSON(t *testing.T) {
	texts := map[string]string{
		"max-conns": "100", "accept-rate": "2.5", "accept-burst": "9", "idle-timeout": "90s", "read-timeout": "1ms",
		"write-timeout": "none", "header-timeout": "3s", "max-header": "64KB", "max-body": "1.5MB",
	}
	var m manners.Manners
	for _, f := range m.Flags() {
		for _, bad := range []string{"", "0", "-1", "x", "1e400", "NaN"} {
			if f.Set(bad) == nil {
				t.Errorf("--%s %q was taken", f.Name, bad)
			}
		}
		if err := f.Set(texts[f.Name]); err != nil {
			t.Errorf("--%s: %v", f.Name, err)
		}
		delete(texts, f.Name)
	}
	want := manners.Manners{
		MaxConns: 100, AcceptRate: 2.5, AcceptBurst: 9, IdleMS: 90_000, ReadMS: 1, WriteMS: manners.None,
		HeaderMS: 3000, MaxHeader: 64 << 10, MaxBody: 3 << 19,
	}
	if m != want || len(texts) > 0 {
		t.Errorf("got %+v, want %+v; not asked for: %v", m, want, texts)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back manners.Manners
	if err := json.Unmarshal(data, &back); err != nil || back != m {
		t.Errorf("%s became %+v, %v", data, back, err)
	}
	if data, _ := json.Marshal(manners.Manners{}); string(data) != "{}" {
		t.Errorf("nothing is %s", data)
	}
}
