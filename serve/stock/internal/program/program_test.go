//go:build unix

package program_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/stock/internal/program"
)

func TestFind_SaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	plain, script := filepath.Join(dir, "plain"), filepath.Join(dir, "script")
	os.WriteFile(plain, nil, 0o644)
	os.WriteFile(script, nil, 0o755)
	for name, want := range map[string]fault.Kind{
		"": fault.Invalid, dir: fault.Invalid, plain: fault.Denied, filepath.Join(dir, "none"): fault.NotFound, "no-such-program": fault.NotFound,
		plain + "/x": fault.NotFound,
	} {
		if got, err := program.Find(name); err == nil || fault.KindOf(err) != want {
			t.Errorf("%q: got %q, %v, want %s", name, got, err, want)
		}
	}
	t.Chdir(dir)
	if got, err := program.Find("./script"); err != nil || filepath.Base(got) != "script" || !filepath.IsAbs(got) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := program.Find("sh"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEnviron_IsWithoutWhatIsOurs(t *testing.T) {
	t.Setenv("BECOME_KEY", "secret")
	t.Setenv("OTHER", "value")
	env := program.Environ()
	if !slices.Contains(env, "OTHER=value") || strings.Contains(strings.Join(env, " "), "secret") {
		t.Errorf("got %q", env)
	}
}

func TestMerge_ReplacesWhatIsThere(t *testing.T) {
	got, err := program.Merge([]string{"A=1", "AB=2", "C=3"}, []string{"A=4", "D=", "A=5=6"})
	if want := []string{"AB=2", "C=3", "D=", "A=5=6"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, wrong := range []string{"", "A", "=1", "A=\x00"} {
		if got, err := program.Merge(nil, []string{wrong}); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%q: got %q, %v", wrong, got, err)
		}
	}
}

func TestLines_AreWholeAndBounded(t *testing.T) {
	long := strings.Repeat("x", program.LongestLine)
	for text, want := range map[string][]string{
		"":                     nil,
		"one\r\n\ntwo\nrest":   {"one", "", "two", "rest"},
		long + "\n":            {long},
		long + "y\nz":          {long, "y", "z"},
		long + long + "\xff\n": {long, long, "\xff"},
		"\x00\xff\n\r\n":       {"\x00\xff", ""},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			var got []string
			w := program.Lines(func(line string) { got = append(got, line) })
			for b := range slices.Chunk([]byte(text), piece) {
				w.Write(b)
			}
			w.Close()
			if !slices.Equal(got, want) {
				t.Errorf("%.20q in pieces of %d: got %.60q", text, piece, got)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("one\r\ntwo"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var got bytes.Buffer
		w := program.Lines(func(line string) {
			if len(line) > program.LongestLine || strings.Contains(line, "\n") {
				t.Fatalf("a line is %d bytes: %.20q", len(line), line)
			}
			got.WriteString(line)
		})
		for b := range slices.Chunk(text, max(1, piece)) {
			if n, err := w.Write(b); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
		}
		w.Close()
		strip := strings.NewReplacer("\n", "", "\r", "").Replace
		if strip(got.String()) != strip(string(text)) {
			t.Fatalf("got %q of %q", &got, text)
		}
	})
}

// start starts a shell and waits until it has said that it is there.
func start(t *testing.T, script string) *process.Process {
	t.Helper()
	r, w := io.Pipe()
	p, err := process.Start(t.Context(), process.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	var word string
	fmt.Fscanln(r, &word)
	return p
}

func TestEnd_AsksFirstAndKillsThen(t *testing.T) {
	p := start(t, `trap 'exit 7' TERM; echo here; while :; do sleep 0.01; done`)
	if err := program.End(context.Background(), p, time.Minute); err != nil || p.Exit().Code != 7 {
		t.Errorf("got %v, %v", err, p.Exit())
	}
	p = start(t, `trap '' TERM; echo here; sleep 60`)
	if err := program.End(context.Background(), p, time.Millisecond); err != nil || p.Exit().Signal != "SIGKILL" {
		t.Errorf("got %v, %v", err, p.Exit())
	}
	now, end := context.WithCancel(context.Background())
	end()
	p = start(t, `trap '' TERM; echo here; sleep 60`)
	if err := program.End(now, p, time.Minute); err != nil || p.Exit().Signal != "SIGKILL" {
		t.Errorf("got %v, %v", err, p.Exit())
	}
}
