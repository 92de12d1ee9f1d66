package confine_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

// counted returns rules with limits that control groups hold, where this machine has them.
func counted(t *testing.T, l confine.Limits) confine.Rules {
	t.Helper()
	// Tasks are an example: what can count them can count the rest.
	plan, err := confine.NewPlan(confine.Rules{Limits: confine.Limits{Tasks: 100}})
	if err != nil {
		t.Skipf("no control groups here: %v", err)
	}
	plan.Close()
	return confine.Rules{Limits: l}
}

// groupOf returns the folder of a process's control group.
func groupOf(t *testing.T, p *process.Process) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("/sys/fs/cgroup" + strings.TrimSpace(string(b[bytes.LastIndex(b, []byte("0::"))+3:])))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: got %v, %v", b, all, err)
	}
	return all[0]
}

func TestGroups_WhoTakesTooMuchMemoryIsKilledAndSaysWhy(t *testing.T) {
	rules := counted(t, confine.Limits{Memory: 256 << 20})
	sibling := helperSpec("stay")
	sibling.Confine = rules
	other := start(t, sibling)
	spec := helperSpec("fill", "600")
	spec.Confine = rules
	p := start(t, spec)
	<-p.Done()
	if got, want := p.Exit().Reason, "killed by SIGKILL: over its memory limit of 256 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"256 MiB of memory (cgroup)"}; !slices.Equal(p.Held(), want) {
		t.Errorf("got %q, want %q", p.Held(), want)
	}
	dir := groupOf(t, other)
	other.Kill()
	if got := other.Exit().Reason; got != "killed by SIGKILL" {
		t.Errorf("the other one: %s", got)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
}

func TestGroups_WhoTakesTooMuchCPUWaits(t *testing.T) {
	spec := helperSpec("spin")
	spec.Confine = counted(t, confine.Limits{CPU: 0.25})
	p := start(t, spec)
	dir := groupOf(t, p)
	if b, err := os.ReadFile(filepath.Join(dir, "cpu.max")); string(b) != "25000 100000\n" {
		t.Errorf("got %s, %v", b, err)
	}
	for { // for as long as the test may take
		b, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nnr_throttled ") && !strings.Contains(string(b), "\nnr_throttled 0\n") {
			return
		}
		runtime.Gosched()
	}
}

func TestGroups_TasksAreLimited(t *testing.T) {
	var errs bytes.Buffer
	p := start(t, process.Spec{
		Path: "/bin/sh", Args: []string{"-c", "for i in 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0; do sleep 60 & done; wait"},
		Env: []string{"PATH=/bin:/usr/bin"}, Stderr: &errs, Confine: counted(t, confine.Limits{Tasks: 16}),
	})
	<-p.Done()
	if p.Exit().Code == 0 || !strings.Contains(errs.String(), "fork") {
		t.Errorf("got %s, %s", p.Exit().Reason, &errs)
	}
}

func TestGroups_WhoLeavesTheProcessGroupIsKilledToo(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := start(t, process.Spec{
		Path: "/bin/sh", Args: []string{"-c", "setsid sleep 60 & echo $!; wait"},
		Env: []string{"PATH=/bin:/usr/bin"}, Stdout: w, Confine: counted(t, confine.Limits{Tasks: 50}),
	})
	text, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(text))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if !strings.Contains(string(b), ") Z ") { // whoever inherited it may not have reaped it yet
			t.Errorf("it runs: %s", b)
		}
	}
}

func TestGroups_WithoutThemTheParentWatchesTheMemory(t *testing.T) {
	spec := helperSpec("fill", "2000")
	spec.Confine.Limits.Memory = 256 << 20
	p := start(t, spec)
	<-p.Done()
	if got, want := p.Exit().Reason, "killed by SIGKILL: over its memory limit of 256 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if slices.Equal(p.Held(), []string{"256 MiB of memory (cgroup)"}) {
		t.Skip("this machine has control groups for memory")
	}
	if want := []string{"256 MiB of memory (watched)"}; !slices.Equal(p.Held(), want) {
		t.Errorf("got %q, want %q", p.Held(), want)
	}
	var data unix.Rlimit
	spec = helperSpec("stay")
	spec.Confine.Limits.Memory = 256 << 20
	p = start(t, spec)
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_DATA, nil, &data); err != nil || data.Cur != 5<<28 {
		t.Errorf("got %v, %v", data, err)
	}
	spec.Confine.Limits = confine.Limits{CPU: 0.5, Tasks: 20}
	_, err := process.Start(t.Context(), spec)
	if fault.KindOf(err) != fault.Invalid || fault.Hint(err) == "" || !strings.Contains(err.Error(), "cannot limit CPU or tasks: ") {
		t.Errorf("got %v, want a clear error", err)
	}
}
