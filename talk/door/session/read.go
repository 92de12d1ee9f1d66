package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// maxKept is how large a buffer may be to be kept.
const maxKept = 64 << 10

// read takes the client's messages until there are no more, or another goroutine does. Most requests take less time than it takes
// to start a goroutine that a processor is free for, so the reader answers them itself. One that takes longer loses the
// reading to a new goroutine, see hand.go: at any time one goroutine reads, and nobody waits for a handler.
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
		turn := s.hand.begin()
		s.take(buf.Bytes())
		if !s.hand.end(turn) {
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

// take answers the request that a message is.
func (s *session) take(data []byte) {
	r, err := s.format.ReadRequest(data)
	if errors.Is(err, frame.ErrBroken) {
		s.leave(websocket.StatusInvalidFramePayloadData, err.Error())
		return
	}
	if !s.admit() {
		return
	}
	if err != nil {
		s.refuse(r.ID, err)
		return
	}
	h, err := s.door.api.Find(r.Name)
	var in reflect.Value
	if err == nil {
		in = reflect.New(h.In.Go()).Elem()
		err = r.Value.Decode(h.In, in)
	}
	if err != nil {
		s.door.api.Refuse(h, err)
		s.answer(r.ID, api.Reply{}, err)
		return
	}
	// When the answer is late, neither the client nor the place is kept waiting for the handler.
	s.door.api.Answer(s.ctx, h, in, func(reply api.Reply, err error, _ bool) { s.answer(r.ID, reply, err) })
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

// answer writes the answer of a request, if it wants one, and ends it.
func (s *session) answer(id uint64, reply api.Reply, err error) {
	defer s.done()
	if id == 0 {
		if err != nil {
			s.door.opts.Logger.Debug("a request that wants no answer failed", "api", s.door.api.Name, "session", s.own.ID(), "err", err)
		}
		return
	}
	s.say(func(b []byte) ([]byte, error) {
		if err != nil {
			return s.appendProblem(b, id, err)
		}
		data, err := s.format.AppendReply(b, id, s.name(reply), reply.Type, reply.Value)
		if wrong, ok := errors.AsType[message.Problems](err); ok {
			return s.appendProblem(b, id, problem.New(http.StatusUnprocessableEntity, "the answer cannot be written: "+wrong.Error()))
		}
		return data, err
	})
}

// refuse says why a message is no request, and ends it.
func (s *session) refuse(id uint64, err error) {
	defer s.done()
	s.say(func(b []byte) ([]byte, error) { return s.appendProblem(b, id, err) })
}

func (s *session) appendProblem(b []byte, id uint64, err error) ([]byte, error) {
	p := *problem.Of(err)
	p.Title = http.StatusText(p.Status)
	return s.format.AppendProblem(b, id, &p)
}

func (s *session) name(r api.Reply) string { return s.door.api.Name + "." + r.Type.Name() }
