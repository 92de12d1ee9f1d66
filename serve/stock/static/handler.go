package static

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Handler serves the files of a directory. It is safe for many goroutines.
type Handler struct {
	root  *os.Root
	o     Options
	small int64 // the largest file that is kept
	cache cache
	views views
	log   *accessLog // or nil
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler for the files of a directory, which stays open until Close. A nil o is the
// defaults. The error is of kind [fault.NotFound] if there is no such directory, [fault.Denied]
// if it may not be opened, else [fault.Internal].
func New(dir string, o *Options) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		kind := fault.Internal
		info, none := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), none == nil && !info.IsDir():
			kind = fault.NotFound
		case errors.Is(err, fs.ErrPermission):
			kind = fault.Denied
		}
		return nil, fault.New(kind, "serve files of", dir, err)
	}
	h := &Handler{root: root, small: o.cacheFile()}
	if o != nil {
		h.o = *o
	}
	h.views = views{every: o.checkEvery(), byPath: map[string]*view{}}
	h.cache = cache{limit: o.cacheBytes(), entries: map[key]*entry{}}
	if h.o.AccessLog != nil {
		h.log = newAccessLog(h.o.Process, h.o.AccessLog)
	}
	return h, nil
}

// Close closes the directory, so that later requests are answered 404, and returns when the access log
// is written.
func (h *Handler) Close() error {
	err := h.root.Close()
	if h.log != nil {
		h.log.close()
	}
	return err
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.log == nil {
		h.serve(w, r)
		return
	}
	rec := &recorder{ResponseWriter: w}
	defer func() { h.log.write(r, rec.status()) }()
	h.serve(rec, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed)
		return
	}
	now := time.Now()
	if v := h.views.get(r.URL.Path, now); v != nil {
		h.file(w, r, v)
		return
	}
	name, directory, ok := h.fileName(r.URL.Path)
	if !ok {
		answer(w, http.StatusNotFound)
		return
	}
	info, err := h.root.Stat(name)
	switch {
	case err != nil:
		if k := (key{name, nil}); h.cache.get(k) != nil {
			h.cache.drop(k)
		}
		refuse(w, err)
	case info.IsDir() && !directory:
		redirect(w, r, true)
	case info.IsDir():
		h.directory(w, r, name, now)
	case !info.Mode().IsRegular():
		answer(w, http.StatusNotFound)
	case directory:
		redirect(w, r, false)
	default:
		h.file(w, r, h.look(r.URL.Path, name, info, now))
	}
}

// directory answers with the index, else a listing if that is wished.
func (h *Handler) directory(w http.ResponseWriter, r *http.Request, name string, now time.Time) {
	index := filepath.Join(name, "index.html")
	info, err := h.root.Stat(index)
	switch {
	case err == nil && info.Mode().IsRegular():
		h.file(w, r, h.look(r.URL.Path, index, info, now))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		refuse(w, err)
	case h.o.Listing:
		h.list(w, r, name)
	default:
		answer(w, http.StatusNotFound)
	}
}

// look looks which forms of a regular file are there. What it sees holds for a moment from now on.
func (h *Handler) look(path, name string, info fs.FileInfo, now time.Time) *view {
	v := &view{at: now, name: name, info: info}
	for i, e := range encodings {
		stored, err := h.root.Stat(name + e.suffix)
		if err == nil && stored.Mode().IsRegular() && !stored.ModTime().Before(info.ModTime()) {
			v.forms[i], v.encoded = stored, true
		}
	}
	h.views.put(path, v)
	return v
}

// file answers with a regular file, in the best form that there is for the client.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, v *view) {
	if v.encoded {
		for _, e := range accepted(r.Header["Accept-Encoding"]) {
			if stored := v.forms[e.index]; stored != nil && h.form(w, r, v.name, e, stored) == nil {
				return
			}
		}
	}
	if err := h.form(w, r, v.name, nil, v.info); err != nil {
		refuse(w, err)
	}
}

// form answers with one form of a file: from memory, or from the disk. With an error
// nothing has been sent.
func (h *Handler) form(w http.ResponseWriter, r *http.Request, name string, enc *encoding, info fs.FileInfo) error {
	k := key{name, enc}
	if e := h.cache.get(k); e != nil && e.fits(info) {
		send(w, r, e)
		return nil
	}
	f, info, err := h.open(k.path())
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() > h.small {
		return h.sendLarge(w, r, k, f, info)
	}
	e, fresh, err := h.load(k, f, info)
	if err != nil {
		return err
	}
	if fresh {
		h.cache.put(k, e)
	}
	send(w, r, e)
	return nil
}

// path returns the name of the file that holds the form.
func (k key) path() string {
	if k.encoding == nil {
		return k.name
	}
	return k.name + k.encoding.suffix
}

// open opens a regular file.
func (h *Handler) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := h.root.OpenFile(name, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// load reads a small file. It may be kept if it is long unchanged and did not change meanwhile.
func (h *Handler) load(k key, f *os.File, info fs.FileInfo) (e *entry, keep bool, err error) {
	now := time.Now()
	body := make([]byte, info.Size())
	n, err := io.ReadFull(f, body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	body = body[:n] // it may have shrunk
	typ, err := h.contentType(k, body)
	if err != nil {
		return nil, false, err
	}
	// A hash is the same on every node that has the file.
	sum := sha256.Sum256(body)
	e = &entry{
		info: info, body: body, typ: []string{typ},
		etag:     []string{`"` + hex.EncodeToString(sum[:16]) + `"`},
		length:   []string{strconv.Itoa(n)},
		modified: []string{info.ModTime().UTC().Format(http.TimeFormat)},
	}
	if k.encoding != nil {
		e.encoding = k.encoding.header
	}
	after, err := f.Stat()
	keep = err == nil && e.fits(after) && int64(n) == info.Size() && now.Sub(info.ModTime()) > settled
	return e, keep, nil
}

// contentType is what the name says, else what the first bytes look like: those of the file itself
// when head is of another form.
func (h *Handler) contentType(k key, head []byte) (string, error) {
	if t := typeOf(k.name); t != "" {
		return t, nil
	}
	if k.encoding == nil {
		return http.DetectContentType(head), nil
	}
	f, _, err := h.open(k.name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sniff(f)
}

func sniff(f io.ReaderAt) (string, error) {
	var b [512]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return http.DetectContentType(b[:n]), nil
}

// varied and safe are the same in each answer with a file.
var (
	varied = []string{"Accept-Encoding"}
	safe   = []string{"nosniff"}
	ranges = []string{"bytes"}
)

// conditions are the headers with which the answer may be another than the whole file.
var conditions = []string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"}

// send answers from memory.
func send(w http.ResponseWriter, r *http.Request, e *entry) {
	e.describe(w.Header())
	for _, c := range conditions {
		if r.Header[c] != nil {
			http.ServeContent(&conditional{w}, ranged(r, int64(len(e.body))), "", e.info.ModTime(), bytes.NewReader(e.body))
			return
		}
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(e.body)
	}
}

// describe sets the headers. They are assigned and not copied: nobody changes their values.
func (e *entry) describe(h http.Header) {
	h["Content-Type"] = e.typ
	h["Content-Length"] = e.length
	h["Etag"] = e.etag
	h["Last-Modified"] = e.modified
	h["Accept-Ranges"] = ranges
	h["Vary"] = varied
	h["X-Content-Type-Options"] = safe
	if e.encoding != nil {
		h["Content-Encoding"] = e.encoding
	}
}

// sendLarge answers from the disk; the system copies.
func (h *Handler) sendLarge(w http.ResponseWriter, r *http.Request, k key, f *os.File, info fs.FileInfo) error {
	typ := typeOf(k.name)
	if typ == "" {
		var head [512]byte
		n, err := f.ReadAt(head[:], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if typ, err = h.contentType(k, head[:n]); err != nil {
			return err
		}
	}
	e := &entry{
		info: info, typ: []string{typ}, etag: []string{largeTag(k, info, time.Now())},
		length:   []string{strconv.FormatInt(info.Size(), 10)},
		modified: []string{info.ModTime().UTC().Format(http.TimeFormat)},
	}
	if k.encoding != nil {
		e.encoding = k.encoding.header
	}
	e.describe(w.Header())
	http.ServeContent(&conditional{w}, ranged(r, info.Size()), "", info.ModTime(), f)
	return nil
}

// largeTag tells a large file's versions apart by size and time; as long as it may change without a
// change of these, the tag is weak, and no ranges of two versions are put together.
func largeTag(k key, info fs.FileInfo, now time.Time) string {
	tag := fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano())
	if k.encoding != nil {
		tag += k.encoding.suffix
	}
	if now.Sub(info.ModTime()) <= settled {
		return `W/"` + tag + `"`
	}
	return `"` + tag + `"`
}

// conditional takes back what http.ServeContent does not when a condition fails:
// the length of a body that it does not send.
type conditional struct{ http.ResponseWriter }

func (c *conditional) WriteHeader(code int) {
	if code == http.StatusPreconditionFailed {
		for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding"} {
			c.Header().Del(name)
		}
	}
	c.ResponseWriter.WriteHeader(code)
}

// ReadFrom keeps the way open on which the system copies from file to socket.
func (c *conditional) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.ResponseWriter, r) }

// refuse answers an error of the disk.
func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		answer(w, http.StatusForbidden)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		answer(w, http.StatusServiceUnavailable)
	case errors.Is(err, syscall.EIO):
		answer(w, http.StatusInternalServerError)
	default: // it does not exist, leads out of the root, has too long a name, goes in circles
		answer(w, http.StatusNotFound)
	}
}

// answer sends a status with its own text.
func answer(w http.ResponseWriter, code int) {
	http.Error(w, http.StatusText(code), code)
}
