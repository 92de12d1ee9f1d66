package confine

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/universal-server/become/ground/fault"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0B": 0, "1000B": 1000, "64k": 64 << 10, "256MB": 256 << 20, "256 MiB": 256 << 20, "1.5GB": 3 << 29, "2T": 2 << 40, "1e3kb": 1000 << 10,
	} {
		if got, err := ParseBytes(text); got != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "256", "MB", "-1MB", "1XB", "1IB", "1 M B", "NaNMB", "InfGB", "1e300T", "0x1MB", "1,5GB", "eins MB"} {
		if got, err := ParseBytes(text); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %d, %v, want an error", text, got, err)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	f.Add("256MB")
	f.Add("1.5 GiB")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseBytes(text)
		if n < 0 || err != nil && n != 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1000: "1000 B", 1 << 10: "1 KiB", 1500 << 10: "1500 KiB", 256 << 20: "256 MiB", 1 << 50: "1024 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRules_Check(t *testing.T) {
	good := []Rules{
		{}, {NoNewPrivileges: true}, {Landlock: &Landlock{}},
		{Limits: Limits{Memory: MinMemory, CPU: 0.01, Tasks: 16, OpenFiles: 16, CPUSeconds: 1, CoreSize: -1}},
	}
	bad := []Rules{
		{Limits: Limits{Memory: -1}}, {Limits: Limits{Memory: 1 << 20}}, {Limits: Limits{Memory: math.MaxInt64}},
		{Limits: Limits{CPU: -0.5}}, {Limits: Limits{CPU: math.NaN()}}, {Limits: Limits{CPU: math.Inf(1)}}, {Limits: Limits{CPU: 0.001}},
		{Limits: Limits{Tasks: 1}}, {Limits: Limits{OpenFiles: 3}}, {Limits: Limits{CPUSeconds: -1}},
		{Landlock: &Landlock{ReadOnly: []string{""}}}, {Landlock: &Landlock{ReadWrite: []string{"./here"}}},
		{Landlock: &Landlock{Executable: make([]string, 1000)}}, {Landlock: &Landlock{ConnectPorts: make([]uint16, 2000)}},
	}
	for _, r := range good {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range bad {
		if err := r.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v, want an error", r, err)
		}
	}
	if !(Rules{}).Zero() || good[1].Zero() || good[2].Zero() || good[3].Zero() {
		t.Error("zero is what restricts nothing")
	}
}

func TestRules_TravelAsJSON(t *testing.T) {
	// That no port is allowed is something else than that any is.
	for _, r := range []Rules{{}, {Landlock: &Landlock{}}, {Landlock: &Landlock{BindPorts: []uint16{}, ConnectPorts: []uint16{0, 443}}}} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got Rules
		if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("got %+v, %v from %s, want %+v", got, err, data, r)
		}
	}
	if data, _ := json.Marshal(Rules{}); string(data) != "{}" {
		t.Errorf("got %s", data)
	}
}
