package handoff

import (
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

// gaveUpPause is how long a sender waits when the system is out of what passing needs.
const gaveUpPause = 10 * time.Millisecond

// Errors of Send.
var (
	errFull  = fault.Text(fault.Busy, "hand over connection", "", "too many wait at this process")
	errOver  = fault.Text(fault.Lost, "hand over connection", "", "the process takes no more")
	errLarge = fault.Text(fault.Invalid, "hand over connection", "", "too much was read from it")
	errKind  = fault.Text(fault.Invalid, "hand over connection", "", "it is no socket of the system's")
)

// Sender hands connections over to one process. One of its goroutines writes, one hears; both end with the
// pair. Its methods may be called by many goroutines.
type Sender struct {
	conn  *net.UnixConn
	wake  chan struct{} // holds an item when write should look again
	done  chan struct{} // closed when both goroutines have ended
	moved chan struct{} // holds an item when something was taken or written, for Freeze

	mu      sync.Mutex
	untaken []*sent // oldest first
	written int     // how many of them were written
	open    int     // sent, not returned, not ended
	writing bool    // the last of those is under way
	over    bool    // nothing more can be sent
	frozen  bool    // nothing more shall be sent
	left    bool    // the pair goes on without this sender
}

// Seat is a process that serves connections which are handed over.
type Seat struct {
	// Number is the process's number among those of its version, from 1; its successor has the same.
	Number int
	// Route is the policy by which its version wants them to be chosen.
	Route  string
	Sender *Sender
}

// sent is a connection on its way. The zero value is one that a sender before this one has sent.
type sent struct {
	conn net.Conn
	read []byte
	end  func(taken bool)
}

// State is what the next sender of a pair has to know, see Freeze.
type State struct {
	// Open is how many connections the receiver has, Untaken how many of them it has not taken yet.
	Open    int `json:"open"`
	Untaken int `json:"untaken,omitempty"`
}

// New returns a sender and the file that the receiving process shall inherit, see Inherit. The caller closes
// the file once the process has started, and the sender in any case.
func New() (*Sender, *os.File, error) {
	conn, file, err := process.Pair()
	if err != nil {
		return nil, nil, err
	}
	s, err := start(conn, State{})
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return s, file, nil
}

// Resume returns a sender that goes on where a frozen one stopped. It does not close the file.
func Resume(file *os.File, st State) (*Sender, error) {
	if st.Untaken < 0 || st.Untaken > Window || st.Open < st.Untaken {
		return nil, fault.Text(fault.Invalid, "resume handing over", file.Name(), "this cannot be the state of a sender")
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "resume handing over", file.Name(), err)
	}
	return start(conn, st)
}

func start(conn net.Conn, st State) (*Sender, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fault.Text(fault.Invalid, "hand over connections", "", "it is no Unix socket")
	}
	s := &Sender{
		conn: uc, wake: make(chan struct{}, 1), done: make(chan struct{}), moved: make(chan struct{}, 1),
		open: st.Open, written: st.Untaken, untaken: make([]*sent, 0, Window),
	}
	for range st.Untaken {
		s.untaken = append(s.untaken, &sent{})
	}
	go s.run()
	return s, nil
}

// Send hands a connection over, with what was read from it already. When it returns nil the connection
// and read belong to the sender until it calls end, once, from a goroutine of its own: with true when the
// process has taken the connection, which is closed here then; with false when it has not and will
// not, and the connection is the caller's again.
//
// Errors, after which the connection stays the caller's: fault.Busy when there is no Room, fault.Lost when the
// process takes no more, fault.Invalid when this connection cannot be passed.
func (s *Sender) Send(c net.Conn, read []byte, end func(taken bool)) error {
	if _, ok := c.(syscall.Conn); !ok {
		return errKind
	}
	if len(read) > MaxRead {
		return errLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errOver
	case len(s.untaken) >= Window || s.frozen:
		return errFull
	}
	s.untaken = append(s.untaken, &sent{c, read, end})
	s.open++
	nudge(s.wake)
	return nil
}

// Load says how many connections the process has, how many more can be sent to it now, and whether it
// takes any at all.
func (s *Sender) Load() (open, room int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return s.open, 0, false
	}
	if s.frozen {
		return s.open, 0, true
	}
	return s.open, Window - len(s.untaken), true
}

// Finish ends the sender when its process is gone: what the process had said before still counts, within
// a time. What it has not taken is given back then.
func (s *Sender) Finish(within time.Duration) {
	s.conn.SetReadDeadline(time.Now().Add(within))
	<-s.done
}

// run ends when the pair does, or when the sender leaves it.
func (s *Sender) run() {
	defer close(s.done)
	var writing sync.WaitGroup
	writing.Go(s.write)
	s.hear()
	s.conn.Close() // write may be in the middle of something
	s.mu.Lock()
	s.over = true
	left, rest := s.left, s.untaken
	s.mu.Unlock()
	nudge(s.wake)
	writing.Wait()
	for _, c := range rest {
		c.finish(left) // the next sender hears what becomes of it
	}
}

// write writes connections until there will be no more.
func (s *Sender) write() {
	for {
		c, over := s.next()
		switch {
		case over:
			return
		case c == nil:
			<-s.wake
			continue
		}
		n, err := write(s.conn, frame(c.read), c.conn.(syscall.Conn))
		if err == nil {
			continue
		}
		if !gaveUp(n, err) {
			s.stop()
			return
		}
		time.Sleep(gaveUpPause) // who has sent it will send it again
		s.giveBack(c)
	}
}

// next returns the next connection to be written, if there is one.
func (s *Sender) next() (c *sent, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing {
		s.writing = false
		nudge(s.moved)
	}
	if s.over {
		return nil, true
	}
	if s.written == len(s.untaken) {
		return nil, false
	}
	c = s.untaken[s.written]
	s.written++
	s.writing = true
	return c, false
}

// giveBack returns a connection that could not be written.
func (s *Sender) giveBack(c *sent) {
	s.mu.Lock()
	i := slices.Index(s.untaken, c)
	if i < 0 || s.over { // nonsense from the receiver; and run gives all back
		s.mu.Unlock()
		return
	}
	s.untaken = slices.Delete(s.untaken, i, i+1)
	s.written--
	s.open--
	s.mu.Unlock()
	c.finish(false)
}

// stop ends the writing. hear goes on: the process may have taken some before it closed its
// end, and if it has not closed it, it sees now that no more will come.
func (s *Sender) stop() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.conn.CloseWrite()
}

// hear notes what the receiver says until it says no more.
func (s *Sender) hear() {
	b := make([]byte, 512)
	for {
		n, err := s.conn.Read(b)
		for _, what := range b[:n] {
			if !s.heard(what) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// heard reports whether the receiver makes sense.
func (s *Sender) heard(what byte) bool {
	s.mu.Lock()
	var c *sent
	switch {
	case what == ended && s.open > len(s.untaken):
		s.open--
		s.mu.Unlock()
		return true
	case (what == took || what == returned) && s.written > 0:
		c = s.untaken[0]
		s.untaken = slices.Delete(s.untaken, 0, 1)
		s.written--
		if what == returned {
			s.open--
		}
	}
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.finish(what == took)
	nudge(s.moved)
	return true
}

// finish says what became of a connection.
func (c *sent) finish(taken bool) {
	if c.conn == nil {
		return
	}
	if taken {
		c.conn.Close()
	}
	c.end(taken)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
