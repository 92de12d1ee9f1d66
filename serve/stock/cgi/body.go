package cgi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// spool counts what the bodies under way have on disk together.
type spool struct {
	limit int64
	used  atomic.Int64
}

// body is a request's body in a file without a name. Its zero value is an empty one.
type body struct {
	file *os.File
	size int64
	from *spool
}

func (b *body) close() {
	if b.file != nil {
		b.file.Close()
		b.from.used.Add(-b.size)
	}
}

// Write writes, as long as there is room for all.
func (b *body) Write(p []byte) (int, error) {
	if b.from.used.Add(int64(len(p))) > b.from.limit {
		b.from.used.Add(-int64(len(p)))
		return 0, fault.Text(fault.Busy, "take a body", "", "too much is being sent by all clients together")
	}
	b.size += int64(len(p))
	return b.file.Write(p)
}

// receive takes a request's body. After an error it has answered.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (*body, error) {
	if r.ContentLength == 0 {
		return &body{}, nil
	}
	if r.ContentLength > h.o.MaxBody {
		w.Header().Set("Connection", "close")
		answer(w, http.StatusRequestEntityTooLarge)
		return nil, errors.New("the body is too large")
	}
	b, err := h.take(w, r)
	if err == nil {
		return b, nil
	}
	code := http.StatusBadRequest // it was cut, or no proper chunks
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		code = http.StatusRequestTimeout
	case fault.KindOf(err) == fault.Busy:
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case b == nil:
		code = http.StatusInternalServerError
	}
	w.Header().Set("Connection", "close")
	answer(w, code)
	return nil, err
}

// take writes the body to a file. It returns no body when that is not the client's fault.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (*body, error) {
	f, err := os.CreateTemp("", "become-cgi-")
	if err != nil {
		return nil, err
	}
	b := &body{file: f, from: &h.spool}
	if err := os.Remove(f.Name()); err != nil {
		b.close()
		return nil, err
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(h.o.BodyWithin)) // or it cannot
	_, err = io.Copy(b, http.MaxBytesReader(w, r.Body, h.o.MaxBody))
	if err == nil {
		control.SetReadDeadline(time.Time{})
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		b.close()
		var path *os.PathError // of the disk
		if errors.As(err, &path) {
			return nil, err
		}
		return b, err
	}
	return b, nil
}
