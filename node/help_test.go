//go:build unix

package node_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

func newKey(path string) error { return key.New().Save(path) }

// roleEnv turns the test binary into one of the processes below.
const roleEnv = "NODE_TEST_ROLE"

var roles = map[string]func(args []string) error{
	"node": nodeRole,
	"boss": bossRole,
}

// other starts a role in a process of its own and returns it with the first
// line that it prints.
func other(t testing.TB, role string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, cmd) })
	text, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said %q, then %v", role, text, err)
	}
	return cmd, strings.TrimSpace(text)
}

func kill(t testing.TB, cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// nodeRole is a node of its own: HOME WORKERS SLOTS.
func nodeRole(args []string) error {
	workers, _ := strconv.Atoi(args[1])
	slots, _ := strconv.Atoi(args[2])
	n, err := node.Start(context.Background(), node.Options{Home: args[0], Workers: workers, Slots: slots})
	if err != nil {
		return err
	}
	fmt.Println(n.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return n.Stop()
}

// bossRole makes calls that never end and submits jobs: URL KEY JOBS. It
// prints the ids of the jobs.
func bossRole(args []string) error {
	ctx := context.Background()
	f, err := become.Connect(ctx, become.Config{URL: args[0], Key: args[1]})
	if err != nil {
		return err
	}
	var ids []string
	many, _ := strconv.Atoi(args[2])
	for range many {
		job, err := sleep.Submit(ctx, f, 20)
		if err != nil {
			return err
		}
		ids = append(ids, job.ID())
	}
	for range 2 {
		sleep.Go(ctx, f, 3_600_000)
	}
	admin, err := fleet.Connect(ctx, &fleet.Options{URL: args[0], Key: args[1]})
	if err != nil {
		return err
	}
	for n := 0; n < 2 && err == nil; {
		var nodes []roster.Status
		nodes, err = admin.Nodes(ctx, 1)
		n = running(nodes)
	}
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(ids, " "))
	select {}
}

func running(nodes []roster.Status) (n int) {
	for _, s := range nodes {
		for _, p := range s.Processes {
			n += p.Running
		}
	}
	return n
}

// eventually waits for something that another process has to do.
func eventually(t testing.TB, ctx context.Context, what string, f func() bool) {
	t.Helper()
	if until(ctx, f) != nil {
		t.Fatalf("never happened: %s", what)
	}
}

// until returns when f says true, or ctx has ended.
func until(ctx context.Context, f func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// gone reports whether no process of that id is left.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// openFiles counts this process's open files.
func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list open files")
	}
	return len(all)
}

// connectHome connects to the node in dir.
func connectHome(t testing.TB, dir string) *become.Fleet {
	t.Helper()
	contact, ok, err := home.Find(dir)
	if err != nil || !ok {
		t.Fatalf("no node in %s: %v", dir, err)
	}
	f, err := become.Connect(t.Context(), become.Config{URL: contact.URL, Key: dir + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func nativeManifest(code []byte) bundle.Manifest {
	digest, _, _ := bundle.Digest(bytes.NewReader(code))
	return bundle.Manifest{
		Digest: digest, Kind: bundle.Native, Name: "broken", GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, Size: int64(len(code)),
	}
}

func taskValue(n int) task.Value { return task.Value{Data: fmt.Appendf(nil, "%d", n)} }

// submitAll submits n jobs that take ms milliseconds each.
func submitAll(ctx context.Context, f *become.Fleet, n, ms int) (out []*become.Job[int], err error) {
	for range n {
		j, err := sleep.Submit(ctx, f, ms)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}
