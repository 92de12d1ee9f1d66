package bundle_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// key signs and verifies, as a fleet's key does.
type key string

func (k key) Sign(purpose string, msg []byte) []byte {
	mac := hmac.New(sha256.New, []byte(k))
	io.WriteString(mac, purpose+"\x00")
	mac.Write(msg)
	return mac.Sum(nil)
}

func (k key) Verify(purpose string, msg, sig []byte) bool {
	return hmac.Equal(sig, k.Sign(purpose, msg))
}

// fakeKV is the part of bus.KV that a store uses.
type fakeKV struct {
	bus.KV
	mu sync.Mutex
	m  map[string][]byte
}

func (f *fakeKV) Get(_ context.Context, k string) (bus.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.m[k]
	if !ok {
		return bus.Entry{}, fault.New(fault.NotFound, "get", k, nil)
	}
	return bus.Entry{Key: k, Value: v, Revision: 1}, nil
}

func (f *fakeKV) Put(_ context.Context, k string, v []byte) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m[k] = bytes.Clone(v)
	return 1, nil
}

func (f *fakeKV) Watch(_ context.Context, prefix string, call func(bus.Entry)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, v := range f.m {
		if strings.HasPrefix(k, prefix) {
			call(bus.Entry{Key: k, Value: v, Revision: 1})
		}
	}
	call(bus.Entry{})
	return nil
}

// fakeBlobs is the part of bus.Blobs that a store uses, and counts.
type fakeBlobs struct {
	bus.Blobs
	mu          sync.Mutex
	m           map[string][]byte
	puts, opens int
	onOpen      func(ctx context.Context) // may be nil
}

func (f *fakeBlobs) Put(_ context.Context, name string, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m[name] = b
	f.puts++
	return nil
}

func (f *fakeBlobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f.mu.Lock()
	b, ok := f.m[name]
	f.opens++
	onOpen := f.onOpen
	f.mu.Unlock()
	if onOpen != nil {
		onOpen(ctx)
	}
	if !ok {
		return nil, fault.New(fault.NotFound, "open", name, nil)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (f *fakeBlobs) Stat(_ context.Context, name string) (bus.BlobInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.m[name]
	if !ok {
		return bus.BlobInfo{}, fault.New(fault.NotFound, "look at", name, nil)
	}
	return bus.BlobInfo{Size: int64(len(b))}, nil
}

func (f *fakeBlobs) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opens
}

const fleet = key("the fleet's key")

func newStore() (*bundle.Store, *fakeKV, *fakeBlobs) {
	kv := &fakeKV{m: map[string][]byte{}}
	blobs := &fakeBlobs{m: map[string][]byte{}}
	return &bundle.Store{KV: kv, Blobs: blobs, Verifier: fleet}, kv, blobs
}

func manifest(t testing.TB, code string) bundle.Manifest {
	t.Helper()
	digest, size, err := bundle.Digest(strings.NewReader(code))
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Manifest{
		Digest: digest, Size: size, Kind: bundle.JS, Name: "square.js",
		Exports: []bundle.Export{{Name: "square", Input: json.RawMessage(`{"type":"number"}`), Limits: bundle.Limits{Tries: 5}}},
	}
}

// put stores code and returns its digest.
func put(t testing.TB, s *bundle.Store, code string) string {
	t.Helper()
	m := manifest(t, code)
	if _, err := s.Put(t.Context(), m, bundle.Text(code), fleet, nil); err != nil {
		t.Fatal(err)
	}
	return m.Digest
}

func wantKind(t testing.TB, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestDigest_NamesContent(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	path := filepath.Join(t.TempDir(), "abc")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	digest, size, err := bundle.FileDigest(path)
	if digest != abc || size != 3 || err != nil {
		t.Errorf("got %s, %d, %v", digest, size, err)
	}
	_, _, err = bundle.FileDigest(path + ".missing")
	wantKind(t, "missing", err, fault.NotFound)
	for s, want := range map[string]bool{
		abc: true, "": false, abc[1:]: false, abc + "0": false,
		strings.ToUpper(abc): false, "../" + abc[3:]: false, "g" + abc[1:]: false,
	} {
		if got := bundle.ValidDigest(s); got != want {
			t.Errorf("ValidDigest(%q): got %v, want %v", s, got, want)
		}
	}
}

func TestUnseal_BelievesOnlyWhatWasSigned(t *testing.T) {
	m := manifest(t, "code")
	b, err := bundle.Seal(m, fleet)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bundle.Unseal(b, fleet)
	if diff := cmp.Diff(m, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got)\n%s", err, diff)
	}
	_, err = bundle.Unseal(b, key("another"))
	wantKind(t, "another key", err, fault.Denied)
	_, err = bundle.Unseal(b, nil)
	wantKind(t, "no key", err, fault.Denied)
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := bundle.Unseal(bad, fleet); fault.KindOf(err) != fault.Denied {
			t.Fatalf("byte %d changed: got %v, want denied", i, err)
		}
		if _, err := bundle.Unseal(b[:i], fleet); fault.KindOf(err) != fault.Denied {
			t.Fatalf("cut at %d: got %v, want denied", i, err)
		}
	}
	_, err = bundle.Unseal(make([]byte, bundle.MaxSealed+1), fleet)
	wantKind(t, "too long", err, fault.Denied)
}

func TestSeal_RefusesWrongManifests(t *testing.T) {
	for name, change := range map[string]func(*bundle.Manifest){
		"digest":   func(m *bundle.Manifest) { m.Digest = "../../etc/passwd" },
		"kind":     func(m *bundle.Manifest) { m.Kind = "cobol" },
		"size":     func(m *bundle.Manifest) { m.Size = -1 },
		"platform": func(m *bundle.Manifest) { m.Kind = bundle.Native },
		"name":     func(m *bundle.Manifest) { m.Name = strings.Repeat("x", 1000) },
		"exports":  func(m *bundle.Manifest) { m.Exports = make([]bundle.Export, bundle.MaxExports+1) },
		"length":   func(m *bundle.Manifest) { m.Exports[0].Doc = strings.Repeat("x", bundle.MaxSealed) },
	} {
		m := manifest(t, "code")
		change(&m)
		_, err := bundle.Seal(m, fleet)
		wantKind(t, name, err, fault.Invalid)
	}
}

func TestStore_UploadsOnce(t *testing.T) {
	s, kv, blobs := newStore()
	code := strings.Repeat("code ", 100_000)
	m := manifest(t, code)
	if ok, err := s.Has(t.Context(), m.Digest); ok || err != nil {
		t.Errorf("has: got %v, %v", ok, err)
	}
	_, err := s.Manifest(t.Context(), m.Digest)
	wantKind(t, "manifest", err, fault.NotFound)

	var last int64
	progress := func(sent, total int64) {
		if sent < last || total != m.Size {
			t.Errorf("progress: got %d of %d after %d", sent, total, last)
		}
		last = sent
	}
	for n, want := range []bool{true, false} {
		uploaded, err := s.Put(t.Context(), m, bundle.Text(code), fleet, progress)
		if uploaded != want || err != nil || blobs.puts != 1 || last != m.Size {
			t.Errorf("put %d: got %v, %v, %d uploads, %d bytes", n, uploaded, err, blobs.puts, last)
		}
	}
	if ok, err := s.Has(t.Context(), m.Digest); !ok || err != nil {
		t.Errorf("has: got %v, %v", ok, err)
	}
	r, err := s.Open(t.Context(), m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); string(b) != code || err != nil {
		t.Errorf("got %d bytes, %v", len(b), err)
	}

	delete(kv.m, m.Digest) // the manifest alone is put again
	if uploaded, err := s.Put(t.Context(), m, bundle.Text(code), fleet, nil); uploaded || err != nil || blobs.puts != 1 {
		t.Errorf("got %v, %v, %d uploads", uploaded, err, blobs.puts)
	}
	blobs.m[m.Digest] = []byte("short")
	if ok, err := s.Has(t.Context(), m.Digest); ok || err != nil {
		t.Errorf("has with a short blob: got %v, %v", ok, err)
	}
	if uploaded, err := s.Put(t.Context(), m, bundle.Text(code), fleet, nil); !uploaded || err != nil {
		t.Errorf("got %v, %v, want the code repaired", uploaded, err)
	}
}

func TestStore_RefusesCodeThatIsNotTheManifests(t *testing.T) {
	s, kv, blobs := newStore()
	for _, code := range []string{"codf", "cod", "codes", ""} {
		_, err := s.Put(t.Context(), manifest(t, "code"), bundle.Text(code), fleet, nil)
		wantKind(t, code, err, fault.Denied)
	}
	_, err := s.Put(t.Context(), manifest(t, "code"), bundle.File("/missing"), fleet, nil)
	wantKind(t, "missing", err, fault.NotFound)
	if len(kv.m)+len(blobs.m) != 0 {
		t.Errorf("got %d manifests and %d blobs, want none", len(kv.m), len(blobs.m))
	}
}

func TestStore_RefusesAManifestUnderAnotherDigest(t *testing.T) {
	s, kv, _ := newStore()
	good, other := put(t, s, "good"), put(t, s, "other")
	kv.m[good] = kv.m[other]
	_, err := s.Manifest(t.Context(), good)
	wantKind(t, "swapped", err, fault.Denied)
	_, err = s.Has(t.Context(), good)
	wantKind(t, "has", err, fault.Denied)
	put(t, s, "good") // who has the key can repair it
	if _, err := s.Manifest(t.Context(), good); err != nil {
		t.Error(err)
	}
	for _, digest := range []string{"", "../key", strings.Repeat("A", 64)} {
		_, err := s.Manifest(t.Context(), digest)
		wantKind(t, digest, err, fault.Invalid)
		_, err = s.Open(t.Context(), digest)
		wantKind(t, digest, err, fault.Invalid)
	}
}

func TestStore_ListsWhatIsTrusted(t *testing.T) {
	s, kv, _ := newStore()
	a, b := put(t, s, "a"), put(t, s, "b")
	kv.m["junk"] = []byte("junk")
	foreign := manifest(t, "c")
	kv.m[foreign.Digest], _ = bundle.Seal(foreign, key("another"))
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, m.Digest)
	}
	want := []string{min(a, b), max(a, b)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func openCache(t testing.TB, dir string, maxBytes int64) *bundle.Cache {
	t.Helper()
	c, err := bundle.OpenCache(dir, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// load asks for a bundle, checks its content, and returns the path and release.
func load(t testing.TB, c *bundle.Cache, s *bundle.Store, code string) (string, func()) {
	t.Helper()
	m := manifest(t, code)
	path, got, release, err := c.Path(t.Context(), m.Digest, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("manifest (-want +got)\n%s", diff)
	}
	if b, err := os.ReadFile(path); string(b) != code || err != nil {
		t.Errorf("got %q, %v, want %q", b, err, code)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o500 {
		t.Errorf("got %v, %v, want mode 0500", info.Mode(), err)
	}
	return path, release
}

func names(t testing.TB, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestCache_FetchesOnceAndVerifiesAlways(t *testing.T) {
	s, _, blobs := newStore()
	put(t, s, "code")
	dir := t.TempDir()
	c := openCache(t, dir, 0)
	path, _ := load(t, c, s, "code")
	load(t, c, s, "code")
	load(t, openCache(t, dir, 0), s, "code")
	if blobs.opens != 1 {
		t.Errorf("got %d fetches, want 1", blobs.opens)
	}
	for n, tamper := range []func(){
		func() { os.Chmod(path, 0o700); os.WriteFile(path, []byte("edoc"), 0o700) },
		func() { os.Chmod(path, 0o700); os.WriteFile(path, []byte("longer than before"), 0o700) },
		func() { os.Remove(path) },
		func() { os.Remove(path); os.Symlink("/bin/sh", path) },
		func() { os.Remove(path); os.MkdirAll(filepath.Join(path, "deep"), 0o700) },
	} {
		tamper()
		load(t, c, s, "code")
		if want := 2 + n; blobs.opens != want {
			t.Errorf("tampering %d: got %d fetches, want %d", n, blobs.opens, want)
		}
	}
	os.Chmod(path, 0o400) // still the right content: no reason to fetch
	load(t, c, s, "code")
	if blobs.opens != 6 {
		t.Errorf("got %d fetches, want 6", blobs.opens)
	}
}

func TestCache_KeepsNothingThatIsWrong(t *testing.T) {
	s, kv, blobs := newStore()
	digest := put(t, s, "code")
	dir := t.TempDir()
	c := openCache(t, dir, 0)
	for _, code := range []string{"edoc", "cod", "codes", ""} {
		blobs.m[digest] = []byte(code)
		_, _, release, err := c.Path(t.Context(), digest, s)
		wantKind(t, code, err, fault.Denied)
		if release != nil {
			t.Error("got a release with an error")
		}
	}
	blobs.m[digest] = []byte("code")
	path, _ := load(t, c, s, "code")
	os.Remove(path)
	os.WriteFile(path, []byte("edoc"), 0o500)
	blobs.m[digest] = []byte("edoc") // the store is tampered with, too
	_, _, _, err := c.Path(t.Context(), digest, s)
	wantKind(t, "both", err, fault.Denied)
	delete(blobs.m, digest)
	_, _, _, err = c.Path(t.Context(), digest, s)
	wantKind(t, "no code", err, fault.NotFound)
	kv.m[digest], _ = bundle.Seal(manifest(t, "code"), key("another"))
	_, _, _, err = c.Path(t.Context(), digest, s)
	wantKind(t, "another key", err, fault.Denied)
	_, _, _, err = c.Path(t.Context(), "../escape", s)
	wantKind(t, "no digest", err, fault.Invalid)
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("got %v left, want nothing", got)
	}
}

func TestCache_FetchesOnceForManyAtOnce(t *testing.T) {
	s, _, blobs := newStore()
	digest := put(t, s, "code")
	c := openCache(t, t.TempDir(), 0)
	open, opened := make(chan struct{}), make(chan struct{})
	blobs.onOpen = func(context.Context) { close(opened); <-open }
	var wg sync.WaitGroup
	ask := func() {
		path, _, release, err := c.Path(t.Context(), digest, s)
		if err != nil {
			t.Error(err)
			return
		}
		defer release()
		if b, err := os.ReadFile(path); string(b) != "code" {
			t.Errorf("got %q, %v", b, err)
		}
	}
	wg.Go(ask)
	<-opened
	for range 20 {
		wg.Go(ask)
	}
	close(open)
	wg.Wait()
	if got := blobs.opened(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
}

func TestCache_GoesOnWhenTheFirstAskerGivesUp(t *testing.T) {
	s, _, blobs := newStore()
	digest := put(t, s, "code")
	c := openCache(t, t.TempDir(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan struct{}, 2)
	blobs.onOpen = func(ctx context.Context) {
		opened <- struct{}{}
		if blobs.opened() == 1 {
			<-ctx.Done()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, _, err := c.Path(ctx, digest, s)
		wantKind(t, "first", err, fault.Canceled)
	})
	<-opened
	gaveUp, giveUp := context.WithCancel(t.Context())
	giveUp()
	_, _, _, err := c.Path(gaveUp, digest, s)
	wantKind(t, "gave up", err, fault.Canceled)
	wg.Go(func() {
		path, _, release, err := c.Path(t.Context(), digest, s)
		if err != nil {
			t.Error(err)
			return
		}
		defer release()
		if b, err := os.ReadFile(path); string(b) != "code" {
			t.Errorf("got %q, %v", b, err)
		}
	})
	cancel()
	wg.Wait()
}

func TestCache_EvictsWhatIsIdleLongest(t *testing.T) {
	s, _, _ := newStore()
	codes := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		codes[name] = strings.Repeat(name, 100)
		put(t, s, codes[name])
	}
	dir := t.TempDir()
	c := openCache(t, dir, 250)
	there := func(want string) {
		t.Helper()
		got := ""
		for _, name := range []string{"a", "b", "c", "d"} {
			if _, err := os.Stat(filepath.Join(dir, manifest(t, codes[name]).Digest)); err == nil {
				got += name
			}
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, releaseA := load(t, c, s, codes["a"])
	_, releaseB := load(t, c, s, codes["b"])
	there("ab")
	_, releaseC := load(t, c, s, codes["c"])
	there("abc") // all in use: nothing may go
	_, releaseB2 := load(t, c, s, codes["b"])
	releaseB()
	releaseB() // counts once
	there("abc")
	releaseA()
	there("bc")
	releaseC()
	there("bc")
	load(t, c, s, codes["d"])
	there("bd") // c was idle; b is still in use by the second
	releaseB2()
	there("bd")

	c = openCache(t, dir, 100) // a smaller bound holds at once
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("got %d files, want 1", len(got))
	}
	big := strings.Repeat("big", 100)
	_, _, _, err := c.Path(t.Context(), put(t, s, big), s)
	wantKind(t, "larger than the cache", err, fault.Busy)
}

func TestOpenCache_RemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"fetch-123", "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openCache(t, dir, 0)
	if diff := cmp.Diff([]string{"notes"}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCache_Hammer(t *testing.T) {
	s, _, _ := newStore()
	var codes []string
	for n := range 6 {
		codes = append(codes, strings.Repeat(string(rune('a'+n)), 100))
		put(t, s, codes[n])
	}
	c := openCache(t, t.TempDir(), 250)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 100 {
				code := codes[(w*7+n*5)%len(codes)]
				ctx, cancel := context.WithCancel(t.Context())
				if n%9 == 0 {
					go cancel()
				}
				path, _, release, err := c.Path(ctx, manifest(t, code).Digest, s)
				cancel()
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					continue
				}
				if b, err := os.ReadFile(path); string(b) != code {
					t.Errorf("got %q, %v", b, err)
				}
				release()
			}
		})
	}
	wg.Wait()
}

func FuzzUnseal(f *testing.F) {
	good, err := bundle.Seal(manifest(f, "code"), fleet)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, '{', '}'})
	f.Add([]byte{1, 0, 1, 0, '{', '"'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := bundle.Unseal(b, fleet); err == nil && !bytes.Equal(b, good) {
			t.Error("a forged manifest was believed")
		}
		m, err := bundle.Unseal(b, trustsAll{})
		if err != nil {
			return
		}
		if m.Check() != nil || !bundle.ValidDigest(m.Digest) {
			t.Errorf("got a wrong manifest: %+v", m)
		}
		again, err := bundle.Seal(m, fleet)
		if err != nil {
			return // escaping has made it too long
		}
		if _, err := bundle.Unseal(again, fleet); err != nil {
			t.Error(err)
		}
	})
}

type trustsAll struct{}

func (trustsAll) Verify(string, []byte, []byte) bool { return true }
