package router

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// accept accepts until Close, while somebody serves.
func (r *Router) accept() {
	var pause time.Duration
	for r.somebodyServes() {
		c, err := r.l.Accept()
		if err == nil {
			pause = 0
			r.awaitPlace()
			r.take(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) || r.open.Err() != nil {
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		r.opts.Logger.Warn("cannot accept now", "err", err, "wait", pause)
		select {
		case <-time.After(pause):
		case <-r.open.Done():
		}
	}
}

// somebodyServes waits for that. It is false after Close.
func (r *Router) somebodyServes() bool {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	select {
	case <-gate:
		return r.open.Err() == nil
	case <-r.open.Done():
		return false
	}
}

// awaitPlace waits until there is a place for one more connection. Whose key is read for longest has to make
// room. After Close it does not wait.
func (r *Router) awaitPlace() {
	for {
		r.mu.Lock()
		free := r.hands < r.opts.MaxPending
		if e := r.readers.Front(); e != nil && !free {
			hurry(e.Value.(net.Conn))
		}
		r.mu.Unlock()
		if free {
			return
		}
		select {
		case <-r.place:
		case <-r.open.Done():
			return
		}
	}
}

// take begins with a connection.
func (r *Router) take(c net.Conn) {
	h := &held{conn: c}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hands++
	switch {
	case r.policy.Reads():
		r.readLocked(h)
		return
	case r.policy.by == "ip":
		h.found(addressKey(c.RemoteAddr()))
	}
	r.giveLocked(h)
}

// readLocked begins to read the key of a connection.
func (r *Router) readLocked(h *held) {
	h.conn.SetReadDeadline(time.Now().Add(r.opts.KeyWithin)) // before it can be hurried
	e, policy := r.readers.PushBack(h.conn), r.policy
	r.wg.Go(func() {
		err := r.readKey(h, policy)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.readers.Remove(e)
		if err != nil {
			r.closeLocked(h)
			return
		}
		r.giveLocked(h)
	})
}

func (h *held) found(key []byte) {
	if len(key) > 0 {
		h.key, h.keyed = hash(key), true
	}
}

const firstRead = 2 << 10 // bytes

// readKey reads until the key was found or there will be none. The error is that of a connection that
// has broken.
func (r *Router) readKey(h *held, p Policy) error {
	f := finder{policy: p}
	b := make([]byte, 0, min(firstRead, r.opts.MaxKey))
	for {
		n, err := h.conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		h.read = b
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !late && !errors.Is(err, io.EOF) {
			return err
		}
		key, done := f.find(b, errors.Is(err, io.EOF))
		if done {
			h.found(key)
		}
		if done || late || len(b) == r.opts.MaxKey {
			return nil
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(4*cap(b), r.opts.MaxKey)), b...)
		}
	}
}

// hurry ends the reading of a key: the connection goes on without.
func hurry(c net.Conn) { c.SetReadDeadline(time.Unix(1, 0)) }
