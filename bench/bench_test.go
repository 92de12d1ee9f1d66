package main

import (
	"os"
	"strings"
	"testing"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// Peers written in Go are processes of this binary.
func TestMain(m *testing.M) {
	rig.Role(peers.Roles, load.Roles)
	os.Exit(m.Run())
}

// Every measure checks the answers it gets; here they run at a size at which
// their times mean nothing, so none is looked at.
func TestMeasures_GetRightAnswers(t *testing.T) {
	for _, suite := range suites {
		b, err := rig.New(suite, rig.Options{Tiny: true, Alone: true, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		for _, m := range suite.Measures {
			t.Run(suite.Name+"/"+m.Name, func(t *testing.T) {
				t.Parallel()
				rows, err := b.Run(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if r.Us <= 0 && !mayBeNone(r) {
						t.Errorf("%s: got %v, want a figure", r.Measure, r.Us)
					}
				}
			})
		}
	}
}

// mayBeNone says that a row's figure may be none, or less: a share of so little that it does not show, failures, or
// what wrk would have to measure.
func mayBeNone(r rig.Row) bool {
	return r.Unit == "%" || r.Unit == "KB" || r.Unit == "" || r.Missing == "wrk is not installed"
}

func TestPrint_SaysWhatIsMissingAndWhatIsMet(t *testing.T) {
	rows := []rig.Row{
		{Measure: "fast", Unit: "/s", Us: 1234567, Peer: "slow", Theirs: 1000, Goal: &rig.Goal{Bound: 20, Ratio: true}},
		{Measure: "late", Unit: "ms", Us: 51, Goal: &rig.Goal{Bound: 50, AtMost: true}},
		{Measure: "lonely", Unit: "/s", Us: 5, Missing: "erl is not installed", Goal: &rig.Goal{Bound: 1, Ratio: true}},
	}
	var out strings.Builder
	for i := range rows {
		rows[i].Judge()
	}
	rig.Print(&out, rows)
	want := `| measure | us           | peer                          | ratio   | goal    | met |
| ---     | ---          | ---                           | ---     | ---     | --- |
| fast    | 1,234,567 /s | 1,000 /s slow                 | 1,235 × | ≥ 20 ×  | yes |
| late    | 51 ms        | –                             | –       | ≤ 50 ms | no  |
| lonely  | 5 /s         | missing: erl is not installed | –       | ≥ 1 ×   | –   |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
