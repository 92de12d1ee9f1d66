//go:build unix

package register_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
)

// hammerEnv names the file that the test binary, started again, is to use without end.
const hammerEnv = "REGISTER_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(hammerEnv); path != "" {
		hammer(path)
		return
	}
	os.Exit(m.Run())
}

// The register of TestFile_Survives… goes round: 0, 1, a long number, a longer one, and 0 again.
var circle = []string{"0", "1", strings.Repeat("7", 40), strings.Repeat("8", 60_000)}

// hammer takes steps of the circle until it is killed or its input ends, and prints a line for each batch
// of steps that were its own.
func hammer(path string) {
	r, err := register.OpenFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	var ops []register.Op
	for i, text := range circle {
		old, _ := register.Parse(text)
		new, _ := register.Parse(circle[(i+1)%len(circle)])
		ops = append(ops, register.Op{Old: old, New: new})
	}
	for won := 0; ; {
		i := rand.IntN(len(ops))
		present, err := r.Swap(context.Background(), ops[i:i+1])
		if err != nil {
			fmt.Println(err)
			return
		}
		if present != ops[i].Old {
			continue
		}
		if won++; won%50 == 0 {
			fmt.Println("ok")
		}
	}
}

func startHammer(t *testing.T, path string) (kill func(), lines *bufio.Scanner) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hammerEnv+"="+path, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
	})
	t.Cleanup(kill)
	return kill, bufio.NewScanner(out)
}

func TestFile_IsARegister(t *testing.T) {
	registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
		path := filepath.Join(t.TempDir(), "r")
		return func() register.Swapper { return openFile(t, path) }
	})
}

func openFile(t testing.TB, path string) *register.File {
	t.Helper()
	f, err := register.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Processes that are in the middle of it are killed: the register is always one of the values that somebody
// put there, whole, and never locked for ever.
func TestFile_SurvivesItsProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	r := openFile(t, path)
	valid := map[string]bool{}
	for _, text := range circle {
		valid[text] = true
	}
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	_, other := startHammer(t, path) // never killed, until the end
	for range rounds {
		kill, lines := startHammer(t, path)
		for range 1 + rand.IntN(3) {
			if !lines.Scan() || lines.Text() != "ok" {
				t.Fatalf("got %q, %v", lines.Text(), lines.Err())
			}
		}
		kill()
		if got, err := r.Swap(t.Context(), nil); err != nil || !valid[got.String()] {
			t.Fatalf("got %.50s, %v", got, err)
		}
		if !other.Scan() || other.Text() != "ok" {
			t.Fatalf("the other one: %q, %v", other.Text(), other.Err())
		}
	}
}

func TestFile_KeepsItsValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	long := registertest.Digits(t, strings.Repeat("7", 5000))
	a := openFile(t, path)
	if got, err := register.CAS(t.Context(), a, register.Uint(0), long); got != register.Uint(0) || err != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Swap(t.Context(), nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("after Close: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if got, err := openFile(t, path).Swap(t.Context(), nil); got != long || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFile_RefusesWhatIsNoRegister(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	openFile(t, good)
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "text": []byte("12345\n"), "short": content[:len(content)-1], "long": append(content, 0), "zeros": make([]byte, len(content)),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := register.OpenFile(path); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := register.OpenFile(dir); err == nil {
		t.Error("a folder is no register")
	}
}

func TestFile_ManyMakeItAtOnce(t *testing.T) {
	for i := range 20 {
		path := filepath.Join(t.TempDir(), fmt.Sprint("r", i))
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				f, err := register.OpenFile(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				f.Swap(t.Context(), []register.Op{{Old: register.Uint(uint64(n)), New: register.Uint(uint64(n))}, {Old: register.Uint(0), New: register.Uint(100)}})
			})
		}
		wg.Wait()
		if got, err := openFile(t, path).Swap(t.Context(), nil); got != register.Uint(100) || err != nil {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}
