package confine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// left returns what a program finds that follows one with these files.
func left(t *testing.T, fds ...int) *reexec.In {
	t.Helper()
	files, _ := json.Marshal(fds)
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, fmt.Appendf(nil, `{"pid":%d,"files":%s,"state":null}`, os.Getpid(), files), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(reexec.Env, strconv.Itoa(fd))
	in, err := reexec.Received()
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestAdopt_GroupsGoOnInTheNextProgram takes plain folders for control groups: what is written into
// them is not at stake.
func TestAdopt_GroupsGoOnInTheNextProgram(t *testing.T) {
	mine.last = 0
	place := t.TempDir()
	dir := filepath.Join(place, ownPrefix+"1")
	for _, name := range []string{"4", "9"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := &own{dir: dir, lock: lock, has: map[string]bool{"pids": true}}
	var states []*State
	var out reexec.Out
	for _, name := range []string{"4", "9"} {
		p := &Plan{rules: Rules{Limits: Limits{Tasks: 50}}, group: &group{dir: filepath.Join(dir, name), own: before}}
		s, err := p.Handover(&out)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, s)
	}
	// The file number belongs to the next program from here on.
	fd, err := unix.FcntlInt(uintptr(states[0].Lock), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	in := left(t, fd)
	var plans []*Plan
	for _, s := range states {
		s.Lock = fd
		p, err := Adopt(s, in)
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	in.Done()
	if got := plans[1].Held(); len(got) != 1 || got[0] != "50 tasks (cgroup)" {
		t.Errorf("held by %q", got)
	}
	if mine.last != 9 {
		t.Errorf("got %d as the last number, want 9", mine.last)
	}
	removeStale(place)
	if _, err := os.Stat(plans[0].group.dir); err != nil {
		t.Errorf("the folder was taken for a dead program's: %v", err)
	}
	if _, err := Adopt(&State{Group: "/elsewhere/3"}, in); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	if _, err := Adopt(&State{Group: dir + "/x"}, in); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want it refused", err)
	}
	for _, p := range plans {
		p.Close()
	}
	if _, err := os.Stat(dir); err == nil || mine.own != nil {
		t.Errorf("%s is left after its last group", dir)
	}
	if _, err := Adopt(states[0], in); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want no lock", err)
	}
}

func TestAdopt_NoRulesAreNoPlan(t *testing.T) {
	var none *Plan
	s, err := none.Handover(nil)
	if s != nil || err != nil {
		t.Errorf("got %v and %v", s, err)
	}
	if p, err := Adopt(s, nil); p != nil || err != nil {
		t.Errorf("got %v and %v", p, err)
	}
}
