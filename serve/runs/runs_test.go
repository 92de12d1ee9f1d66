package runs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/serve/runs"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, dir string, on ...int) *runs.Journal {
	t.Helper()
	j, err := runs.Open(dir, func(_ string, r runs.Run) bool {
		for _, pid := range on {
			if r.PID == pid {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func run(pid int) runs.Run {
	return runs.Run{Generation: 1, Process: 1, PID: pid, Started: epoch.Add(time.Duration(pid) * time.Second), Outcome: runs.Running}
}

func note(t *testing.T, j *runs.Journal, r runs.Run) {
	t.Helper()
	if err := j.Note("web", r); err != nil {
		t.Fatal(err)
	}
}

func ended(r runs.Run, o runs.Outcome, why string) runs.Run {
	r.Ended, r.Outcome, r.Reason = r.Started.Add(time.Minute), o, why
	return r
}

func TestOpen_RunsWithoutAnEndAreLostUnlessTheyGoOn(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for pid := 1; pid <= 3; pid++ {
		note(t, j, run(pid))
	}
	note(t, j, ended(run(1), runs.Crashed, "exit status 2"))
	if err := j.Beat(); err != nil {
		t.Fatal(err)
	}
	last := epoch.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "beat"), last, last); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is lost stays so
		all := open(t, dir, 3).Newest("web", 0)
		if len(all) != 3 || all[0].Outcome != runs.Crashed || all[0].Reason != "exit status 2" || all[0].Lasted(time.Now()) != time.Minute {
			t.Fatalf("got %+v", all)
		}
		if all[1].Outcome != runs.Lost || !all[1].Ended.Equal(last) {
			t.Errorf("the one that nobody saw end: %+v", all[1])
		}
		if all[2].Outcome != runs.Running || !all[2].Ended.IsZero() {
			t.Errorf("the one that goes on: %+v", all[2])
		}
	}
}

func TestNote_KeepsTheNewestAndThoseThatGoOn(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	note(t, j, run(1)) // goes on
	for pid := 2; pid < 3*runs.Most; pid++ {
		note(t, j, run(pid))
		note(t, j, ended(run(pid), runs.Left, ""))
	}
	for _, j := range []*runs.Journal{j, open(t, dir, 1)} {
		all := j.Newest("web", 0)
		if len(all) != runs.Most || all[len(all)-1].PID != 3*runs.Most-1 {
			t.Fatalf("%d runs, the last %+v", len(all), all[len(all)-1])
		}
		if got := j.Newest("web", 2); len(got) != 2 || got[1].PID != 3*runs.Most-1 {
			t.Errorf("got %+v", got)
		}
		note(t, j, ended(run(1), runs.Left, ""))
	}
	data, err := os.ReadFile(filepath.Join(dir, "web.jsonl"))
	if n := strings.Count(string(data), "\n"); err != nil || n > 7*runs.Most {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestOpen_DamageCostsTheDamagedLineOnly(t *testing.T) {
	dir := t.TempDir()
	note(t, open(t, dir), ended(run(1), runs.Left, strings.Repeat("ü", 5000)))
	f, err := os.OpenFile(filepath.Join(dir, "web.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("nonsense\n" + strings.Repeat("x", 1<<20) + "\n{\"pid\":7,\"star")
	f.Close()
	j := open(t, dir)
	note(t, j, ended(run(2), runs.Left, ""))
	all := open(t, dir).Newest("web", 0)
	if len(all) != 2 || all[0].PID != 1 || all[1].PID != 2 || len(all[0].Reason) > 600 {
		t.Errorf("got %+v", all)
	}
}

func TestForget_AndNamesThatAreNoFileNames(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for _, name := range []string{"a/b", "..", "x.jsonl"} {
		if err := j.Note(name, ended(run(1), runs.Left, "")); err != nil {
			t.Fatal(err)
		}
		if j = open(t, dir); len(j.Newest(name, 0)) != 1 {
			t.Errorf("%q is lost", name)
		}
		if err := j.Forget(name); err != nil {
			t.Fatal(err)
		}
		if j = open(t, dir); len(j.Newest(name, 0)) != 0 {
			t.Errorf("%q is not forgotten", name)
		}
	}
	if err := j.Forget("nobody"); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"pid":7,"started":"2026-01-02T03:04:05Z","outcome":"running"}` + "\n"))
	f.Add([]byte("{\n\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "web.jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir)
		note(t, j, ended(run(1), runs.Left, ""))
		all := open(t, dir).Newest("web", 0)
		found := false
		for _, r := range all {
			found = found || r.PID == 1 && r.Outcome == runs.Left
		}
		if !found {
			t.Errorf("the run is lost: %+v", all)
		}
	})
}
