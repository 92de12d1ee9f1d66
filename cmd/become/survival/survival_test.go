//go:build linux

package survival

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const swaps = 20

// Twenty new versions under load, and nobody notices.
func TestSwaps_FailNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(t *testing.T, procs int) *keeper
		load  shape
	}{
		{"foreground", serveInForeground, shape{for_: long}},
		{"foreground, fresh connections", serveInForeground, shape{for_: brief, fresh: true}},
		{"routed", serveRouted, shape{for_: brief}},
		{"routed, fresh connections", serveRouted, shape{for_: brief, fresh: true}},
		{"node", serveOnNode, shape{for_: brief}},
		{"node, fresh connections", serveOnNode, shape{for_: long, fresh: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := c.start(t, 2)
			c.load.addr = k.addr
			l := put(t, c.load)
			n := l.each(c.load.for_/(swaps+3), func(i int) { k.swap([]string{"v2", "v1"}[i%2]) })
			if seen := l.wait(t); seen.failed() > 0 {
				t.Errorf("%d swaps: %+v", n, seen)
			}
			if required && c.load.for_ == long && n < swaps {
				t.Errorf("only %d swaps while the load lasted", n)
			}
			k.settle(2) // until it has heard that it has to go, the version before accepts too
			if got, want := k.version(), []string{"1", "2"}[n%2]; got != want {
				t.Errorf("version %s answers after %d swaps, want %s", got, n, want)
			}
		})
	}
}

// A process is killed each 200 ms. What it was serving at that moment fails, and nothing else: no
// connect is refused, nobody waits for long.
func TestKilledProcesses_FailOnlyWhatTheyServe(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(t *testing.T, procs int) *keeper
		load  shape
	}{
		{"foreground", serveInForeground, shape{for_: long}},
		{"foreground, fresh connections", serveInForeground, shape{for_: brief, fresh: true}},
		{"routed", serveRouted, shape{for_: brief}},
		{"routed, fresh connections", serveRouted, shape{for_: brief, fresh: true}},
		{"node", serveOnNode, shape{for_: brief}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := c.start(t, 2)
			c.load.addr = k.addr
			l := put(t, c.load)
			had := 0
			n := l.each(200*time.Millisecond, func(int) { had += killOne(t, k) })
			seen := l.wait(t)
			t.Logf("%d killed, which had %d connections", n, had)
			if seen.connect+seen.timeout+seen.status > 0 || seen.read+seen.write > had {
				t.Errorf("%d processes were killed that had %d connections: %+v", n, had, seen)
			}
			k.settle(2)
			k.version()
		})
	}
}

func killOne(t *testing.T, k *keeper) (had int) {
	all := k.processes()
	if len(all) == 0 { // the one before was the last, and is being replaced
		return 0
	}
	return kill(t, all[rand.IntN(len(all))])
}

// The same seen by clients that know who answered them: a connection that fails belonged to a process that
// was killed.
func TestKilledProcesses_TheConnectionsOfOthersLive(t *testing.T) {
	k := serveInForeground(t, 3)
	var mu sync.Mutex
	killed, lost := map[int]bool{}, map[int]int{}
	s := shape{addr: k.addr, for_: brief}
	l := run(t, func(ctx context.Context) (tally, error) {
		return runClients(ctx, s, func(pid int) {
			mu.Lock()
			defer mu.Unlock()
			lost[pid]++
		}), nil
	})
	l.each(200*time.Millisecond, func(int) {
		all := k.processes()
		if len(all) > 0 {
			mu.Lock()
			killed[all[0]] = true
			mu.Unlock()
			kill(t, all[0])
		}
	})
	if seen := l.wait(t); seen.connect+seen.timeout+seen.status > 0 {
		t.Errorf("%+v", seen)
	}
	for pid, n := range lost {
		if pid != 0 && !killed[pid] { // 0: it was the first request of its connection
			t.Errorf("%d connections of process %d failed, which nobody had killed", n, pid)
		}
	}
	if len(lost) == 0 {
		t.Error("no connection failed: the killed processes had served nobody")
	}
}

// A version that cannot serve is refused, and says why; nobody else hears of it.
func TestBadVersions_TheOldOneServesOn(t *testing.T) {
	t.Run("foreground", func(t *testing.T) {
		k := serve(t, 2, "--start-timeout", "3s")
		l := put(t, shape{addr: k.addr, for_: 2 * brief})
		refused(t, k, "exit", "exit status 3: there is no table users")
		refused(t, k, "hang", "not ready within 3s")
		oldServes(t, k, l)
	})
	t.Run("node", func(t *testing.T) {
		k := serveOnNode(t, 2)
		l := put(t, shape{addr: k.addr, for_: brief})
		refused(t, k, "exit", "exit status 3: there is no table users")
		oldServes(t, k, l)
	})
}

func oldServes(t *testing.T, k *keeper, l *load) {
	if seen := l.wait(t); seen.failed() > 0 {
		t.Errorf("%+v", seen)
	}
	if v := k.version(); v != "1" {
		t.Errorf("version %s answers", v)
	}
	k.settle(2)
}

// refused deploys a version that must not serve, for a reason.
func refused(t *testing.T, k *keeper, version, reason string) {
	t.Helper()
	err := k.deploy(version)
	if err == nil {
		t.Fatalf("version %s serves", version)
	}
	if !strings.Contains(err.Error(), reason) {
		t.Errorf("version %s was refused for %q, want %q", version, err, reason)
	}
}

// A version that serves and then crashes is undone, and the one before is back, with a report.
func TestCrashingVersion_IsUndone(t *testing.T) {
	t.Run("foreground", func(t *testing.T) {
		k := serveInForeground(t, 2)
		undone(t, k)
		k.said.await(t, `(?m)^become: cannot keep generation 2: .*out of luck; the program of generation 1 is back as generation 3$`)
	})
	t.Run("node", func(t *testing.T) {
		k := serveOnNode(t, 2)
		undone(t, k)
		eventually(t, func() bool {
			out, err := k.command("ps", "app")
			return err == nil && strings.Contains(out, "out of luck; the program of generation 1 is back as generation 3")
		})
	})
}

func undone(t *testing.T, k *keeper) {
	l := put(t, shape{addr: k.addr, for_: brief})
	k.deploy("crash") // it is ready, so this can succeed
	seen := l.wait(t)
	// Between two crashes connects wait.
	if seen.connect+seen.timeout+seen.status > 0 {
		t.Errorf("%+v", seen)
	}
	l = put(t, shape{addr: k.addr, for_: time.Second})
	if seen := l.wait(t); seen.failed() > 0 {
		t.Errorf("after it was undone: %+v", seen)
	}
	if v := k.version(); v != "1" {
		t.Errorf("version %s answers", v)
	}
	k.settle(2)
}

// A service that changes its version a thousand times has as many open files, and copies of its program, as in the
// beginning.
func TestThousandSwaps_LeakNothing(t *testing.T) {
	n := 1000
	if !required {
		n = 50
	}
	k := serveInForeground(t, 1)
	k.swap("v2") // what is opened once is open
	mine, theirs := filesOf(k)
	for i := range n {
		k.swap([]string{"v1", "v2"}[i%2])
	}
	eventually(t, func() bool {
		now, _ := filesOf(k)
		return now <= mine
	})
	if _, now := filesOf(k); now > theirs {
		t.Errorf("a process has %d open files, the first one had %d", now, theirs)
	}
	// The version that serves and the one before, which it can go back to.
	copies, err := filepath.Glob(filepath.Join(k.temp, "*", "app-*"))
	if err != nil || len(copies) != 2 {
		t.Errorf("%d copies of the program are left, %v, want 2", len(copies), err)
	}
}

// filesOf counts the open files of the keeper and of its one process, which do nothing.
func filesOf(k *keeper) (mine, theirs int) {
	for _, pid := range k.settle(1) {
		theirs, _ = files(pid)
	}
	mine, _ = files(k.cmd.Process.Pid)
	return mine, theirs
}

// All at once: the seed's scheduler left 276 of a thousand clients out.
func TestThousandEchoClients_AreAllServed(t *testing.T) {
	k := start(t, "serve", "echo", "--listen", "127.0.0.1:0")
	addr := k.said.await(t, `at tcp://([0-9.:]+),`)
	const clients = 1000
	var wg sync.WaitGroup
	errs := make(chan error, clients)
	for i := range clients {
		wg.Go(func() { errs <- echoed(addr, fmt.Sprintf("client %d\n", i)) })
	}
	wg.Wait()
	close(errs)
	failed := 0
	for err := range errs {
		if err != nil {
			failed++
			t.Log(err)
		}
	}
	if failed > 0 {
		t.Errorf("%d clients were not served", failed)
	}
}

func echoed(addr, text string) error {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for range 3 {
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
			return fmt.Errorf("%q came back for %q: %w", got, text, err)
		}
	}
	return nil
}

// Ten thousand connections that do nothing are in nobody's way, and a swap is not held up by them for
// longer than the grace.
func TestIdleConnections_AreInNobodysWay(t *testing.T) {
	k := serveInForeground(t, 2)
	idle, err := connect(k.addr, affordable(t, 10_000))
	for _, c := range idle {
		defer c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	busy := shape{addr: k.addr, for_: brief}
	l := put(t, busy)
	l.each(busy.for_/3, func(int) { k.swap("v2") })
	if seen := l.wait(t); seen.failed() > 0 {
		t.Errorf("%+v", seen)
	}
	// They are closed, so that the old versions can leave, and none by a reset.
	for _, c := range idle {
		c.SetReadDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			t.Fatalf("an idle connection read %d bytes, %v, want its end", n, err)
		}
	}
	k.settle(2)
}

// Whoever kills the keeper has killed the service: nobody goes on unseen, and the address is free.
func TestKilledKeeper_TakesItsProcessesAlong(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			k := kind.start(t, 3)
			processes := k.settle(3)
			k.kill()
			eventually(t, func() bool {
				for _, pid := range processes {
					if alive(pid) {
						return false
					}
				}
				return true
			})
			l, err := net.Listen("tcp", k.addr)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		})
	}
}
