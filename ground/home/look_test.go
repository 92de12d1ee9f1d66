package home_test

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

func TestDestroy_TakesAHomeAndNothingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	if _, err := home.Look(dir); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nothing there: %v", err)
	}
	h, err := home.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Publish(home.Contact{Node: h.ID(), URL: "nats://x"}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.Logs(), "a"), "12345")
	info, err := home.Look(dir)
	if err != nil || info.ID != h.ID() || info.Node == nil || info.Node.URL != "nats://x" {
		t.Fatalf("got %+v, %v", info, err)
	}
	for _, p := range info.Parts {
		if p.Name == "logs" && (p.Files != 1 || p.Bytes != 5 || p.Path != h.Logs()) {
			t.Errorf("got %+v", p)
		}
	}
	if err := home.Destroy(dir); fault.KindOf(err) != fault.Busy {
		t.Errorf("a node runs: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "mine.txt"), "mine")
	if err := home.Destroy(dir); fault.KindOf(err) != fault.Conflict {
		t.Errorf("something else is in it: %v", err)
	}
	if info, err := home.Look(dir); err != nil || info.ID == "" {
		t.Errorf("it was touched: %+v, %v", info, err)
	}
	if err := os.Remove(filepath.Join(dir, "mine.txt")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "id.123.tmp"), "half of one")
	write(t, filepath.Join(dir, ".key-123"), "half of one, which nobody has read")
	if err := home.Destroy(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is there: %v", err)
	}
}

func TestDestroy_RefusesWhatIsNoHome(t *testing.T) {
	for _, file := range []string{"", "bus", "notes.txt"} {
		dir := t.TempDir()
		if file != "" {
			write(t, filepath.Join(dir, file), "x")
		}
		if err := home.Destroy(dir); fault.KindOf(err) != fault.Invalid {
			t.Errorf("with %q in it: %v", file, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || file != "" && len(entries) != 1 || file == "" && len(entries) != 0 {
			t.Errorf("it was touched: %v, %v", entries, err)
		}
	}
}

// Who opens a home while another process destroys it has a whole one, which is his alone, or an error.
func TestDestroy_AndOpenAtTheSameTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	var wg sync.WaitGroup
	var opened, destroyed atomic.Int32
	stop := make(chan struct{})
	wg.Go(func() {
		for (opened.Load() < 60 || destroyed.Load() == 0) && !t.Failed() {
			switch err := home.Destroy(dir); fault.KindOf(err) {
			case fault.Busy, fault.NotFound, fault.Invalid: // Invalid: it is not yet a home
			default:
				if err != nil {
					t.Errorf("destroy: %v", err)
					close(stop)
					return
				}
				destroyed.Add(1)
			}
		}
		close(stop)
	})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				h, err := home.Open(dir)
				if fault.KindOf(err) == fault.Busy {
					continue
				}
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				opened.Add(1)
				if _, err := home.Look(dir); err != nil {
					t.Errorf("it is open, and: %v", err)
				}
				if other, err := home.Open(dir); err == nil {
					t.Error("two have it")
					other.Close()
				}
				if err := h.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLook_SaysThatItCannotKnowWhetherANodeRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	h, err := home.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	write(t, filepath.Join(dir, "node.json"), "nonsense")
	if info, err := home.Look(dir); fault.KindOf(err) != fault.Invalid || info.ID != h.ID() || info.Node != nil || len(info.Parts) == 0 {
		t.Errorf("got %+v, %v", info, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
