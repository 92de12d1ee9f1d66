package main

import (
	"fmt"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/serve/keeper"
)

// tellCertificate tells what a service shows now, if it is another one than before.
func (a *app) tellCertificate(now, before *cert.Pair) {
	if now == nil {
		return
	}
	if before == nil || before.Fingerprint() != now.Fingerprint() {
		fmt.Fprintf(a.err, "become: certificate %s\n", printable(now.String(), false))
	}
	if text := now.Warning(time.Now()); text != "" {
		fmt.Fprintf(a.err, "become: %s\n", text)
	}
}

// teller tells a person what happens to a service that nobody asked for: a process that died,
// a version that was undone. It belongs to one goroutine.
type teller struct {
	app      *app
	report   string // the last that was told
	restarts map[keeper.ID]int
}

// swapped notes what a deploy said, which the caller tells.
func (t *teller) swapped(st keeper.Status, err error) {
	if err != nil && st.Report == err.Error() {
		t.report = st.Report
	}
	if err == nil {
		t.report = ""
	}
}

// look tells what has changed since the last time. What a swap under way comes to, its caller will tell.
func (t *teller) look(st keeper.Status, swapping bool) {
	restarts := make(map[keeper.ID]int, len(st.Processes))
	for _, p := range st.Processes {
		if p.Generation == st.Generation {
			restarts[p.ID] = max(p.Restarts, restarts[p.ID])
		}
	}
	for _, p := range st.Processes {
		n := restarts[p.ID]
		if n > t.restarts[p.ID] && n == p.Restarts {
			next := "replaced"
			if p.State == keeper.Failed {
				next = "it dies too often, so the next try is a while from now"
			}
			fmt.Fprintf(t.app.err, "become: %s; %s\n", printable(p.Reason, true), next)
		}
	}
	t.restarts = restarts
	// The keeper has a report before it has gone back: the last word is said when the probation is over.
	if st.Report != t.report && !st.Probation && !swapping {
		if t.report = st.Report; st.Report != "" {
			fmt.Fprintf(t.app.err, "become: %s\n", printable(st.Report, true))
		}
	}
}

// tellerState is what was told already.
type tellerState struct {
	Report   string     `json:"report,omitempty"`
	Restarts []restarts `json:"restarts,omitempty"`
}

type restarts struct {
	keeper.ID
	N int
}

func (t *teller) state() tellerState {
	st := tellerState{Report: t.report}
	for id, n := range t.restarts {
		st.Restarts = append(st.Restarts, restarts{id, n})
	}
	return st
}

func (t *teller) recall(st tellerState) {
	t.report, t.restarts = st.Report, map[keeper.ID]int{}
	for _, r := range st.Restarts {
		t.restarts[r.ID] = r.N
	}
}
