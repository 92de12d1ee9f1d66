package session

import (
	"context"
	"fmt"
	"sync"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
)

// queue is what waits to be written. The session's mu guards it.
type queue struct {
	waiting []item
	pushes  int // of waiting
	bytes   int // of the pushes
	writing bool
}

// item is a message to be written. The channel of one that somebody waits for is closed when it is.
type item struct {
	data    []byte
	written chan struct{}
	push    bool
}

func (q *queue) busy() bool { return q.writing || len(q.waiting) > 0 }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// deliver writes data, and returns whether nobody else has it any more.
func (s *session) deliver(data []byte) bool {
	s.mu.Lock()
	if !s.open {
		s.mu.Unlock()
		return true
	}
	if !s.out.busy() {
		s.out.writing = true
		s.mu.Unlock()
		s.write(data)
		s.writeOn()
		return true
	}
	written := make(chan struct{})
	s.out.waiting = append(s.out.waiting, item{data: data, written: written})
	s.mu.Unlock()
	select {
	case <-written:
		return true
	case <-s.over:
		return false
	}
}

// writeOnLocked sees to it that what waits is written.
func (s *session) writeOnLocked() {
	if s.open && !s.out.writing && len(s.out.waiting) > 0 {
		s.out.writing = true
		s.wg.Go(s.writeOn)
	}
}

// writeOn writes what waits until nothing does. Its caller has set writing.
func (s *session) writeOn() {
	for {
		s.mu.Lock()
		batch := s.out.waiting
		s.out.waiting = nil
		if len(batch) == 0 || !s.open {
			s.out.writing = false
			s.finishLocked()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, one := range batch {
			s.writeItem(one)
		}
	}
}

func (s *session) writeItem(one item) {
	if one.data != nil {
		s.write(one.data)
	}
	if one.written != nil {
		close(one.written)
	}
	if one.push {
		s.mu.Lock()
		s.out.pushes--
		s.out.bytes -= len(one.data)
		s.mu.Unlock()
	}
}

// write writes one message. There is one writer at a time.
func (s *session) write(data []byte) {
	kind := websocket.MessageText
	if s.format.Binary() {
		kind = websocket.MessageBinary
	}
	s.late.begin()
	err := s.conn.Write(context.Background(), kind, data) // late ends it
	s.late.end()
	if err != nil {
		s.cutOff("it cannot be written to: " + err.Error())()
	}
}

// Push is for the API: see api.Wire.
func (s *session) Push(m api.Reply) error {
	const op = "send message"
	data, err := s.format.AppendReply(nil, 0, s.typeOf(m), m.Type, m.Value)
	if err != nil {
		return fault.New(fault.Invalid, op, m.Type.Name(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overLocked() {
		return fault.Text(fault.Lost, op, m.Type.Name(), "the session is over: "+s.ending.reason)
	}
	q, o := &s.out, &s.door.opts
	if q.pushes >= o.MaxQueue || q.bytes+len(data) > o.MaxQueueBytes && q.pushes > 0 {
		s.cutLocked(fmt.Sprintf("it does not read: %d messages wait for it", q.pushes))
		return fault.Text(fault.Busy, op, m.Type.Name(), s.ending.reason)
	}
	q.waiting = append(q.waiting, item{data: data, push: true})
	q.pushes++
	q.bytes += len(data)
	s.writeOnLocked()
	return nil
}

// Flush is for the API: see api.Wire.
func (s *session) Flush(ctx context.Context) error {
	const op = "flush session"
	s.mu.Lock()
	if !s.out.busy() && !s.overLocked() {
		s.mu.Unlock()
		return nil
	}
	written := make(chan struct{})
	s.out.waiting = append(s.out.waiting, item{written: written})
	s.mu.Unlock()
	select {
	case <-written:
		return nil
	case <-s.over:
		return fault.Text(fault.Lost, op, s.own.ID(), "it is over")
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), op, s.own.ID(), context.Cause(ctx))
	}
}

func (s *session) overLocked() bool { return s.ended || s.cut || s.closing }
