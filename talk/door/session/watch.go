package session

import (
	"context"
	"time"
)

// wonder has the client asked whether it is there.
func (s *session) wonder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.wg.Go(s.ping)
	}
}

// ping cuts the client off if it has been silent for some time and does not answer.
func (s *session) ping() {
	o := &s.door.opts
	if since := time.Now().Add(-o.PingEvery).UnixNano(); s.heard.Load() < since && !s.stalled.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), o.PongWithin)
		defer cancel()
		err := s.conn.Ping(ctx)
		if err != nil && s.heard.Load() < since && !s.stalled.Load() { // a reader that waits hears no answer either
			s.cutOff("it does not answer")()
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.beat.Reset(o.PingEvery)
	}
}
