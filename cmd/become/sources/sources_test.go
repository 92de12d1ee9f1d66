package sources_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/universal-server/become/cmd/become/sources"
	"github.com/universal-server/become/ground/fault"
)

// module writes a program with a package, a module beside it, and files that it embeds.
func module(t *testing.T) (dir string, write func(name, text string)) {
	t.Helper()
	t.Setenv("GOWORK", "")
	t.Setenv("GOFLAGS", "-mod=mod")
	dir = t.TempDir()
	write = func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		// As editors do: a new file takes the old one's place.
		if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
	}
	write("app/go.mod", "module app\n\ngo 1.26\n\nrequire other v0.0.0\n\nreplace other => ../other\n")
	write("app/main.go", "package main\n\nimport (\n\t_ \"app/part\"\n\t_ \"other\"\n)\n\nfunc main() {}\n")
	write("app/part/part.go", "package part\n\nimport \"embed\"\n\n//go:embed pages\nvar Pages embed.FS\n")
	write("app/part/pages/deep/one.html", "one")
	write("other/go.mod", "module other\n\ngo 1.26\n")
	write("other/other.go", "package other\n")
	return dir, write
}

func TestNow_ChangesWithWhatIsBuiltOnly(t *testing.T) {
	dir, write := module(t)
	set, err := sources.Of(t.Context(), ".", filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	before := set.Now()
	if set.Now() != before {
		t.Fatal("it changes by itself")
	}
	for _, same := range []string{"app/main_test.go", "app/notes.txt", "app/.main.go.swp", "app/_x.go", "app/unused/unused.go", "elsewhere.go"} {
		write(same, "package x")
		if set.Now() != before {
			t.Errorf("%s counts", same)
		}
	}
	for _, other := range []string{
		"app/main.go", "app/new.go", "app/part/part.go", "app/part/pages/deep/one.html", "app/part/pages/deep/two.html",
		"app/part/pages/new/three.html", "app/part/asm.s", "app/go.mod", "app/go.sum", "other/other.go", "other/go.mod",
	} {
		write(other, "package longer // than before")
		now := set.Now()
		if now == before {
			t.Errorf("%s does not count", other)
		}
		before = now
	}
	if err := os.Remove(filepath.Join(dir, "app/new.go")); err != nil {
		t.Fatal(err)
	}
	if set.Now() == before {
		t.Error("a removed file does not count")
	}
}

func TestWatch_FollowsWhatIsImported(t *testing.T) {
	dir, write := module(t)
	if _, err := sources.Of(t.Context(), "./app", dir); err == nil {
		t.Error("a folder without a module has packages")
	}
	set, err := sources.Of(t.Context(), ".", filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := sources.Watch(ctx, set, set.Now(), time.Millisecond)
	await := func(what string) {
		t.Helper()
		select {
		case <-w.Changed():
		case <-time.After(time.Minute):
			t.Fatalf("%s was not noticed", what)
		}
	}
	write("app/late/late.go", "package late\n")
	write("app/main.go", "package main\n\nimport (\n\t_ \"app/late\"\n\t_ \"app/part\"\n\t_ \"other\"\n)\n\nfunc main() {}\n")
	await("a new import")
	write("app/late/late.go", "package late // changed\n")
	await("what is imported since")
	write("app/main.go", "package main\n\nimport _ \"app/missing\"\n\nfunc main() {}\n")
	await("an import of what is not there")
	write("app/missing/missing.go", "package missing\n")
	await("what was not there")
	write("app/main.go", "package main\n\nimport \"app/part\n")
	await("a mistake")
	write("app/go.mod", "nonsense")
	await("a mistake that the compiler cannot list")
	write("app/missing/missing.go", "package missing // changed\n")
	await("a change beside a mistake")
	cancel()
	w.Wait()
	for range w.Changed() {
	}
}

func TestWatch_AnExecutable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	set := sources.File(path)
	w := sources.Watch(t.Context(), set, set.Now(), time.Millisecond)
	if err := os.WriteFile(path, []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	<-w.Changed()
}

func TestOf_SaysWhyItKnowsNothing(t *testing.T) {
	if _, err := sources.Of(t.Context(), "./nothing", t.TempDir()); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sources.Of(ctx, "fmt", "."); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
}
