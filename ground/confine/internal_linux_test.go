package confine

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
)

const mounts = `25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw
30 25 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
`

func TestGroupDir(t *testing.T) {
	v1 := "4:memory:/a\n1:cpu:/b\n"
	for _, c := range []struct{ group, mount, want string }{
		{"0::/\n", "32 30 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"},
		{v1 + "0::/user.slice/a b\n", "32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified/user.slice/a b"},
		{"0::/docker/7f/child\n", "32 30 0:28 /docker/7f /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/sys/fs/cgroup/child"},
		{"0::/docker/7f", "32 30 0:28 /docker/7f /my\\040groups rw - cgroup2 cgroup rw\n", "/my groups"},
		{"0::/docker/7fa", "32 30 0:28 /docker/7f /sys/fs/cgroup rw - cgroup2 cgroup rw\n", ""},
		{"0::/../other", "32 30 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", ""},
		{v1, "32 30 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", ""},
		{"0::/", "", ""},
	} {
		if got := groupDir(c.group, mounts+c.mount); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.group, c.mount, got, c.want)
		}
	}
}

func FuzzGroupDir(f *testing.F) {
	f.Add("0::/a\n", mounts+"32 30 0:28 / /sys/fs/cgroup\\040 rw - cgroup2 cgroup2 rw\n")
	f.Add("0::/a", "1 2 3 /a\\04 /b\\777 x - cgroup2 ")
	f.Fuzz(func(t *testing.T, group, mounts string) { groupDir(group, mounts) })
}

func TestKeyed(t *testing.T) {
	text := "low 0\noom 3\noom_kill 2\noom_group_kill x\n"
	if got := []int64{keyed(text, "oom"), keyed(text, "oom_kill"), keyed(text, "oom_group_kill"), keyed(text, "kill")}; !slices.Equal(got, []int64{3, 2, 0, 0}) {
		t.Errorf("got %v", got)
	}
}

func TestPlaces(t *testing.T) {
	if got := places("/x/service"); !slices.Equal(got, []string{"/x/service"}) {
		t.Errorf("got %v", got)
	}
	if got := places("/x/service/become"); !slices.Equal(got, []string{"/x/service", "/x/service/become"}) {
		t.Errorf("got %v: who has moved to a leaf stays at home above it", got)
	}
}

func TestDescends(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := cmd.Process.Pid
	if !descends(child, os.Getpid()) || !descends(os.Getpid(), os.Getpid()) {
		t.Error("we and our children are ours")
	}
	if descends(os.Getpid(), child) || descends(1, os.Getpid()) || descends(0, os.Getpid()) {
		t.Error("others are not")
	}
	cmd.Process.Kill()
	cmd.Wait()
	if !descends(child, os.Getpid()) {
		t.Error("who has ended is no stranger")
	}
}

func TestEnoughABI(t *testing.T) {
	ports := &Landlock{BindPorts: []uint16{}}
	for _, c := range []struct {
		l    *Landlock
		abi  int
		want string
	}{
		{&Landlock{}, 2, "cannot use Landlock: for read-only paths its version must be 3, this kernel has 2"},
		{&Landlock{}, 3, ""},
		{ports, 3, "cannot use Landlock: for ports its version must be 4, this kernel has 3"},
		{ports, 9, ""},
	} {
		err := enoughABI(c.l, c.abi)
		if c.want == "" && err != nil || c.want != "" && (fault.KindOf(err) != fault.Invalid || err.Error() != c.want) {
			t.Errorf("%d: got %v, want %q", c.abi, err, c.want)
		}
	}
}

func TestPlan_Why(t *testing.T) {
	over := &Plan{rules: Rules{Limits: Limits{Memory: 64 << 20}}, watched: true}
	over.over.Store(true)
	cpu := &Plan{rules: Rules{Limits: Limits{CPUSeconds: 10}}}
	for _, c := range []struct {
		p      *Plan
		signal string
		cpu    time.Duration
		want   string
	}{
		{nil, "SIGKILL", 0, ""},
		{over, "SIGKILL", 0, "over its memory limit of 64 MiB"},
		{over, "SIGSEGV", 0, ""},
		{cpu, "SIGXCPU", 0, "over its limit of 10 s of CPU time"},
		{cpu, "SIGKILL", 9 * time.Second, "over its limit of 10 s of CPU time"},
		{cpu, "SIGKILL", time.Second, ""},
		{cpu, "SIGSEGV", 9 * time.Second, ""},
	} {
		if got := c.p.Why(c.signal, c.cpu); got != c.want {
			t.Errorf("%s after %v: got %q, want %q", c.signal, c.cpu, got, c.want)
		}
	}
}

func TestLoader(t *testing.T) {
	out, err := exec.Command("/bin/sh", "-c", "command -v true").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := loader(strings.TrimSpace(string(out))); got != "" {
		if _, err := os.Stat(got); err != nil {
			t.Errorf("got %q: %v", got, err)
		}
	}
	path := filepath.Join(t.TempDir(), "program")
	for _, text := range []string{"", "#!/bin/sh\n", "\x7fELF\x02" + strings.Repeat("\xff", 60)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := loader(path); got != "" {
			t.Errorf("%q: got %q", text, got)
		}
	}
	if got := loader(path + " that is not there"); got != "" {
		t.Errorf("got %q", got)
	}
}

func FuzzLoader(f *testing.F) {
	if b, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(b[:min(len(b), 4096)])
	}
	path := filepath.Join(f.TempDir(), "program")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := loader(path); len(got) > 4096 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func FuzzReadOrder(f *testing.F) {
	f.Add(`{"path":"/bin/true","report":5,"no_new_privileges":true,"rlimits":[{"name":"x","resource":7,"value":99}]}`)
	f.Add(`{"report":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		if o, ok := readOrder(text); ok && o.Report < 3 {
			t.Errorf("it would report to %d", o.Report)
		}
	})
}

func TestFailure_KeepsWhatItWas(t *testing.T) {
	for _, c := range []struct {
		op   string
		err  error
		want string
	}{
		{"", syscall.ENOENT, "no such file or directory"},
		{"allow path /x", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, "allow path /x: no such file or directory"},
		{"", errors.New("anything"), "anything"},
	} {
		err := failureOf(c.op, c.err).err()
		if err.Error() != c.want || errors.Is(err, fs.ErrNotExist) != errors.Is(c.err, fs.ErrNotExist) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// testPlace is a control group of the test's own, in which groups can be made.
func testPlace(t *testing.T) string {
	t.Helper()
	here, err := hereDir()
	if err != nil {
		t.Skip(err)
	}
	place, err := os.MkdirTemp(here, "test-")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(filepath.Join(place, "cgroup.kill")); err != nil {
		syscall.Rmdir(place)
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := syscall.Rmdir(place); err != nil {
			t.Errorf("something is left in the place: %v", err)
			removeTree(place)
		}
	})
	return place
}

// groupIn makes a group without limits, which needs no controller.
func groupIn(t *testing.T, place string) *group {
	t.Helper()
	mine.Lock()
	defer mine.Unlock()
	o, err := lockedOwn(place, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine.own = o
	g, err := o.add(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGroup_IsBornIntoKilledAndRemoved(t *testing.T) {
	p := &Plan{group: groupIn(t, testPlace(t))}
	// Its child leaves the session, and stays in the group.
	cmd := exec.Command("/bin/sh", "-c", "setsid sleep 60 & echo $!; exec sleep 60")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	release, err := p.Attr(cmd.SysProcAttr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	release()
	out.Read(make([]byte, 20))
	if got := p.Running(); len(got) != 2 || !slices.Contains(got, cmd.Process.Pid) {
		t.Errorf("got %v, want %d and its child", got, cmd.Process.Pid)
	}
	if err := os.Mkdir(filepath.Join(p.group.dir, "its own"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	cmd.Wait()
	for len(p.Running()) > 0 {
		runtime.Gosched()
	}
	if got := cmd.ProcessState.String(); got != "signal: killed" {
		t.Errorf("got %s", got)
	}
	dir := p.group.own.dir
	p.Close()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the last one leaves the folder: %v", err)
	}
	p.Kill() // hurts nobody
}

func TestGroup_WhatADeadProgramLeftIsRemoved(t *testing.T) {
	place := testPlace(t)
	dead := filepath.Join(place, ownPrefix+"dead")
	for _, dir := range []string{dead, filepath.Join(dead, "1"), filepath.Join(dead, "2"), filepath.Join(place, "another's")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := groupIn(t, place)
	in, err := os.Open(filepath.Join(dead, "2"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command("/bin/sleep", "60") // has outlived the program that started it
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(in.Fd())}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	removeStale(place)
	if cmd.Wait(); cmd.ProcessState.String() != "signal: killed" {
		t.Errorf("got %s", cmd.ProcessState)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	for _, dir := range []string{g.dir, filepath.Join(place, "another's")} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	g.remove()
	syscall.Rmdir(filepath.Join(place, "another's"))
}

func TestGroup_AProcessMovesOutOfTheWay(t *testing.T) {
	place := testPlace(t)
	// This program cannot be moved back in a test, so a child plays it.
	cmd := exec.Command("/bin/sleep", "60")
	dir, err := os.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := moveOut(place); err != nil {
		t.Error(err)
	}
	leaf := filepath.Join(place, leafName)
	if got, err := members(leaf); !slices.Equal(got, []int{cmd.Process.Pid}) {
		t.Errorf("got %v, %v", got, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	removeTree(leaf)
}

func TestGroup_NobodyElseIsMoved(t *testing.T) {
	place := testPlace(t)
	dir, err := os.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	// The shell leaves, and what it has started is nobody's.
	cmd := exec.Command("/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(out))
	if err := moveOut(place); err == nil || !strings.HasPrefix(err.Error(), "process "+pid+" is in our control group") {
		t.Errorf("got %v", err)
	}
	if err := write(place, "cgroup.kill", "1"); err != nil {
		t.Fatal(err)
	}
	for {
		if list, err := members(place); err != nil || len(list) == 0 {
			return
		}
		runtime.Gosched()
	}
}
