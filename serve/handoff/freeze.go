package handoff

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/universal-server/become/ground/fault"
)

var errHalf = fault.Text(fault.Busy, "", "", "a connection is half handed over: the process takes nothing")

// Freeze ends the sender but not the pair: another one, in this process or in its successor, goes on by
// Resume with the file, which the caller closes. It waits until the process has taken what was
// sent, or until ctx ends; what is untaken then is lost if the process dies before it takes it. It
// is called once. An error means that nothing has changed: fault.Lost when the process takes no more,
// fault.Busy when it does not even read.
func (s *Sender) Freeze(ctx context.Context) (*os.File, State, error) {
	s.mu.Lock()
	s.frozen = true
	s.mu.Unlock()
	s.awaitTaken(ctx)
	file, err := duplicate(s.conn)
	if errors.Is(err, net.ErrClosed) { // it has ended meanwhile, or long ago
		err = errOver
	}
	if err == nil {
		err = s.leave()
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, State{}, fault.New(fault.KindOf(err), "freeze handing over", "", err)
	}
	s.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.done
	return file, State{Open: s.open, Untaken: len(s.untaken)}, nil
}

// awaitTaken returns when nothing is untaken, and the writer knows that it has written: it may hear so after the process
// has taken it. Or when ctx or the pair ends.
func (s *Sender) awaitTaken(ctx context.Context) {
	for {
		s.mu.Lock()
		still := len(s.untaken) == 0 && !s.writing
		s.mu.Unlock()
		if still {
			return
		}
		select {
		case <-s.moved:
		case <-s.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// leave makes the end of hear the sender's, and not that of the pair.
func (s *Sender) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		s.frozen = false
		return errOver
	case s.writing || s.written < len(s.untaken):
		s.frozen = false
		return errHalf
	}
	s.left = true
	return nil
}
