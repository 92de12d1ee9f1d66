package archive_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/universal-server/become/cmd/become/archive"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

const code = "exports.square = (n) => n * n"

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// small is a fleet with a name and a service.
func small() archive.Fleet {
	return archive.Fleet{
		Version: archive.Version,
		Roles:   []role.Role{{Name: "echo", Now: role.Edition{Number: 3, Stock: "echo"}, State: role.Running}},
		Names:   []fleet.Deployment{{Name: "square", Digest: digest(code), Functions: []string{"square"}}},
		Bundles: []bundle.Manifest{{Digest: digest(code), Kind: bundle.JS, Name: "square", Size: int64(len(code))}},
	}
}

func codeOf(text string) func(string) (io.ReadCloser, error) {
	return func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(text))), nil }
}

func TestArchive_HoldsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet.zip")
	if err := archive.Write(path, small(), codeOf(code)); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if len(a.Roles) != 1 || a.Roles[0].Now.Stock != "echo" || len(a.Names) != 1 {
		t.Errorf("got %+v", a.Fleet)
	}
	r, err := a.Code(digest(code))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != code {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWrite_LeavesNothingOfAHalf(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.zip")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", code + "more", "exports.square = (n) => n + n"} {
		if err := archive.Write(path, small(), codeOf(text)); err == nil {
			t.Errorf("%q is another code", text)
		}
	}
	got, err := os.ReadFile(path)
	if entries, _ := os.ReadDir(dir); err != nil || string(got) != "before" || len(entries) != 1 {
		t.Errorf("got %q, %v, %v", got, err, entries)
	}
}

// pack is an archive without the care of Write.
func pack(t testing.TB, f archive.Fleet, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	records, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if files["fleet.json"] == "" {
		files["fleet.json"] = string(records)
	}
	for name, text := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fleet.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen_BelievesNothing(t *testing.T) {
	whole := "code/" + digest(code)
	for what, change := range map[string]func(*archive.Fleet, map[string]string){
		"other code":         func(_ *archive.Fleet, files map[string]string) { files[whole] = "exports.square = (n) => n + n" },
		"longer code":        func(_ *archive.Fleet, files map[string]string) { files[whole] = code + code },
		"no code":            func(_ *archive.Fleet, files map[string]string) { delete(files, whole) },
		"no records":         func(_ *archive.Fleet, files map[string]string) { files["fleet.json"] = "{" },
		"another form":       func(f *archive.Fleet, _ map[string]string) { f.Version = 99 },
		"no digest":          func(f *archive.Fleet, _ map[string]string) { f.Bundles[0].Digest = "../../etc/passwd" },
		"a name without":     func(f *archive.Fleet, _ map[string]string) { f.Names[0].Digest = digest("x") },
		"a name twice":       func(f *archive.Fleet, _ map[string]string) { f.Names = append(f.Names, f.Names[0]) },
		"a service's name":   func(f *archive.Fleet, _ map[string]string) { f.Roles[0].Name = "square" },
		"a service without":  func(f *archive.Fleet, _ map[string]string) { f.Roles[0].Now.Stock = "" },
		"a service of both":  func(f *archive.Fleet, _ map[string]string) { f.Roles[0].Now.Digest = digest(code) },
		"a service's number": func(f *archive.Fleet, _ map[string]string) { f.Roles[0].Now.Spec.Procs = -1 },
	} {
		f, files := small(), map[string]string{whole: code}
		change(&f, files)
		if a, err := archive.Open(pack(t, f, files)); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %+v, %v", what, a, err)
		}
	}
	if _, err := archive.Open(filepath.Join(t.TempDir(), "none.zip")); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	data, err := os.ReadFile(pack(f, small(), map[string]string{"code/" + digest(code): code}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "fleet.zip")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := archive.Open(path)
		if err != nil {
			return
		}
		for _, m := range a.Bundles {
			r, err := a.Code(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
			}
			r.Close()
		}
		a.Close()
	})
}
