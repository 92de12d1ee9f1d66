package rig

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Goal is a bound, of the ratio to a peer or of our own figure.
type Goal struct {
	Bound  float64 `json:"bound"`
	AtMost bool    `json:"at_most"` // else at least
	Ratio  bool    `json:"ratio"`   // of us / peer, else of us
}

// Row is one line of the table.
type Row struct {
	Measure string  `json:"measure"`
	Unit    string  `json:"unit"`
	Us      float64 `json:"us"`
	Peer    string  `json:"peer,omitempty"`    // who it is compared with
	Theirs  float64 `json:"theirs,omitempty"`  // the peer's figure
	Missing string  `json:"missing,omitempty"` // why the peer has none
	Rare    bool    `json:"-"`                 // a peer that is missing is no failure, see Missing
	Ratio   float64 `json:"ratio,omitempty"`   // us / theirs
	Low     float64 `json:"low,omitempty"`     // a quarter of the rounds have a lower ratio
	High    float64 `json:"high,omitempty"`    // a quarter of them a higher one
	Goal    *Goal   `json:"goal,omitempty"`    // nil: the row is there to be looked at
	Met     *bool   `json:"met,omitempty"`     // nil: cannot be said
	Note    string  `json:"note,omitempty"`
}

// Judge fills in the ratio and whether the goal is met.
func (r *Row) Judge() {
	if r.Theirs != 0 && r.Ratio == 0 {
		r.Ratio = r.Us / r.Theirs
	}
	if r.Goal == nil || r.Missing != "" || r.Goal.Ratio && r.Theirs == 0 {
		return
	}
	v := r.Us
	if r.Goal.Ratio {
		v = r.Ratio
	}
	met := v >= r.Goal.Bound
	if r.Goal.AtMost {
		met = v <= r.Goal.Bound
	}
	r.Met = &met
}

// Print writes the rows as a table, and the notes below it.
func Print(out io.Writer, rows []Row) {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|") }
	line("measure", "us", "peer", "ratio", "goal", "met")
	line("---", "---", "---", "---", "---", "---")
	for i := range rows {
		r := &rows[i]
		line(r.Measure, figure(r.Us, r.Unit), r.peer(), r.ratio(), r.goal(), r.met())
	}
	w.Flush()
	for _, r := range rows {
		if r.Note != "" {
			fmt.Fprintf(out, "\n%s%s: %s\n", r.Measure, r.beside(), r.Note)
		}
	}
}

// beside tells rows of one measure apart.
func (r *Row) beside() string {
	if r.Peer == "" {
		return ""
	}
	return ", beside " + r.Peer
}

func (r *Row) peer() string {
	switch {
	case r.Missing != "":
		return "missing: " + r.Missing
	case r.Peer == "":
		return "–"
	}
	return figure(r.Theirs, r.Unit) + " " + r.Peer
}

func (r *Row) ratio() string {
	if r.Ratio == 0 {
		return "–"
	}
	if r.Low != 0 && r.Low != r.High {
		return number(r.Ratio) + " × (" + number(r.Low) + "–" + number(r.High) + ")"
	}
	return number(r.Ratio) + " ×"
}

func (r *Row) goal() string {
	if r.Goal == nil {
		return "–"
	}
	sign := "≥ "
	if r.Goal.AtMost {
		sign = "≤ "
	}
	if r.Goal.Ratio {
		return sign + number(r.Goal.Bound) + " ×"
	}
	return sign + figure(r.Goal.Bound, r.Unit)
}

func (r *Row) met() string {
	switch {
	case r.Met == nil:
		return "–"
	case *r.Met:
		return "yes"
	}
	return "no"
}

func figure(v float64, unit string) string {
	if unit == "" {
		return number(v)
	}
	return number(v) + " " + unit
}

// number writes three digits that count, and large ones with commas.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	switch a := math.Abs(v); {
	case a >= 1000:
		return commas(int64(math.Round(v)))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func commas(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
