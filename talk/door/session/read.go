package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/talk/frame"
)

// maxKept is how large a buffer may be to be kept.
const maxKept = 64 << 10

// read takes the client's messages until there are no more, or another goroutine does. Most requests take less time than it takes
// to start a goroutine that a processor is free for, so the reader answers them itself. Those that are known to take longer are
// answered after a new goroutine reads in its place, and one that takes longer than it used to loses the reading to one; see
// hand.go. At any time one goroutine reads.
func (s *session) read() {
	buf := new(bytes.Buffer)
	for {
		good, err := s.next(buf)
		if err != nil {
			s.last(err)
			return
		}
		if !good {
			continue
		}
		if !s.take(buf.Bytes()) {
			return
		}
		if buf.Cap() > maxKept {
			buf = new(bytes.Buffer)
		}
	}
}

// next reads the client's next message; false for one that is not to be taken.
func (s *session) next(buf *bytes.Buffer) (bool, error) {
	// No context: it would cost two allocations for each message, and whoever ends the session closes its connection.
	kind, r, err := s.conn.Reader(context.Background())
	if err != nil {
		return false, err
	}
	buf.Reset()
	most := s.door.opts.MaxMessage
	if _, err := buf.ReadFrom(io.LimitReader(r, most+1)); err != nil {
		return false, err
	}
	s.heard.Store(time.Now().UnixNano())
	switch {
	case int64(buf.Len()) > most:
		s.leave(websocket.StatusMessageTooBig, "a message is larger than "+strconv.FormatInt(most, 10)+" bytes")
		_, err := io.Copy(io.Discard, r) // the client is to hear it
		return false, err
	case (kind == websocket.MessageBinary) != s.format.Binary():
		s.leave(websocket.StatusUnsupportedData, s.format.Protocol()+" is in messages of the other kind")
		return false, nil
	}
	return true, nil
}

// take answers the request that a message is, and reports whether who took it is still the reader. It has its turn when the request
// is admitted: while that waits for a place, nobody reads.
func (s *session) take(data []byte) (reads bool) {
	r, err := s.format.ReadRequest(data)
	if errors.Is(err, frame.ErrBroken) {
		s.leave(websocket.StatusInvalidFramePayloadData, err.Error())
		return true
	}
	if !s.admit() {
		return true
	}
	turn := s.hand.begin()
	s.answer(r, err, turn)
	return s.hand.end(turn)
}

// answer answers a request, or what is wrong with it. It gives the reading up when that may take long.
func (s *session) answer(r frame.Request, err error, turn uint64) {
	if err != nil {
		x := s.exchangeOf(r)
		x.heard = true
		x.span.Note(err)
		x.Answer(err, false)
		return
	}
	x := s.exchangeOf(r)
	h, err := s.door.api.Find(r.Name)
	x.named(h)
	var in reflect.Value
	if err == nil {
		in = reflect.New(h.In.Go()).Elem()
		err = r.Value.Decode(h.In, in)
	}
	if err != nil {
		s.door.api.Refuse(x.ctx, r.Name, err)
		x.Answer(err, false)
		return
	}
	begun, pace := time.Now(), s.door.paces[h]
	if !pace.quick() {
		s.hand.pass(turn)
	}
	returned := false
	defer func() {
		if !returned { // the handler has ended the reader's goroutine
			s.hand.pass(turn)
		}
	}()
	s.door.api.Answer(x.ctx, h, in, x) // when it is late, neither the client nor the place is kept waiting for the handler
	returned = true
	pace.took(time.Since(begun))
}

// admit waits until one more request may be under way; false if none may be begun any more.
func (s *session) admit() bool {
	select {
	case s.slots <- struct{}{}:
	default:
		s.stalled.Store(true)
		defer s.stalled.Store(false)
		select {
		case s.slots <- struct{}{}: // each request is answered within its deadline
		case <-s.gone:
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		<-s.slots
		return false
	}
	s.running++
	return true
}

// done ends a request that was answered.
func (s *session) done() {
	s.mu.Lock()
	s.running--
	s.finishLocked()
	s.mu.Unlock()
	<-s.slots
}
