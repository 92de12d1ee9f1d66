package register

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
)

const (
	// replyWithin is how long an answer is waited for at least; at most twice as long. It is more than
	// the owner's own register needs to give up.
	replyWithin = time.Minute
	// patience is how long an owner that is away is looked for.
	patience = 5 * time.Second
	// retryFirst and retryMost are the pauses between two looks.
	retryFirst, retryMost = 5 * time.Millisecond, 200 * time.Millisecond
)

// Remote is a register that another process owns, see [Serve], reached on a line. Operations that are
// asked for while others travel go together.
//
// An owner that leaves in order says so, and what it has not done is asked for again; so a node can be restarted below
// its processes. When it dies, operations on their way fail with [fault.Lost]: nobody knows what became of them. Those
// that come later wait up to 5 s for it to be back. An owner of another register at the same address is refused.
type Remote struct {
	*combiner
	path, identity string
	token          []byte

	mu     sync.Mutex
	nc     net.Conn // nil: there is none
	closed bool

	// Only the trip under way uses these.
	conn *line.Conn // nil: there is none
	by   time.Time  // the deadline that is set
	out  []byte
}

// Dial connects to an owner on a Unix socket. Its errors are of kind [fault.Denied] when the token is wrong,
// [fault.Lost] when there is no owner, or ctx's.
func Dial(ctx context.Context, path string, token []byte) (*Remote, error) {
	r := &Remote{path: path, token: token}
	r.combiner = newCombiner(r.trip)
	if err := r.connect(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// connect makes a line, and asks who is there.
func (r *Remote) connect(ctx context.Context) error {
	const op = "reach register"
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", r.path)
	if err != nil {
		kind := fault.Lost
		if ctx.Err() != nil {
			kind = fault.KindOf(ctx.Err())
		}
		return fault.New(kind, op, r.path, fault.Reason(err))
	}
	conn, err := line.Client(ctx, nc, r.token, &line.Options{MaxFrame: maxRequest})
	if err != nil {
		return fault.New(fault.KindOf(err), op, r.path, err)
	}
	if err := r.greet(nc, conn); err != nil {
		conn.Close()
		return fault.New(fault.KindOf(err), op, r.path, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		conn.Close()
		return fault.New(fault.Lost, op, r.path, errClosed)
	}
	r.nc, r.conn, r.by = nc, conn, time.Time{}
	return nil
}

func (r *Remote) greet(nc net.Conn, conn *line.Conn) error {
	nc.SetReadDeadline(time.Now().Add(line.HandshakeTimeout))
	b, err := conn.Receive()
	if errors.Is(err, io.EOF) {
		return fault.Text(fault.Lost, "", "", "it ended")
	} else if err != nil {
		return err
	}
	identity, ok := strings.CutPrefix(string(b), helloMagic)
	switch {
	case !ok || identity == "" || len(identity) > maxIdentity:
		return fault.Text(fault.Denied, "", "", "it speaks another protocol")
	case r.identity == "":
		r.identity = identity
	case r.identity != identity:
		return fault.Text(fault.Conflict, "", "", "another register is there now")
	}
	return nil
}

// maxMoves bounds how often an owner may leave while one trip goes on.
const maxMoves = 10

// trip sends operations and returns the answer. It begins again on another line when it is certain that the
// owner has done nothing.
func (r *Remote) trip(life context.Context, ops []Op) (Number, error) {
	r.out = appendOps(r.out[:0], ops)
	for range maxMoves {
		b, again, err := r.exchange(life)
		if again {
			continue
		}
		if err != nil {
			return Number{}, err
		}
		present, err, malformed := readAnswer(b)
		if malformed != nil {
			r.drop()
			return Number{}, fault.New(fault.Lost, opSwap, r.path, malformed)
		}
		return present, err
	}
	return Number{}, fault.Text(fault.Busy, opSwap, r.path, "its owner leaves, again and again")
}

// exchange sends out and receives the answer. again says that nothing was done.
func (r *Remote) exchange(life context.Context) (b []byte, again bool, err error) {
	if err := r.present(life); err != nil {
		return nil, false, err
	}
	// Setting a deadline costs as much as a small write: one that is right is left.
	if now := time.Now(); r.by.Sub(now) < replyWithin {
		r.by = now.Add(2 * replyWithin)
		r.nc.SetReadDeadline(r.by)
	}
	if err := r.conn.Send(r.out); err != nil {
		r.drop() // the owner has not got the whole frame, and does nothing with a part of it
		return nil, true, nil
	}
	b, err = r.conn.Receive()
	if err != nil {
		r.drop()
		return nil, false, fault.New(fault.Lost, opSwap, r.path, err)
	}
	if leaving(b) {
		r.drop()
		return nil, true, nil
	}
	return b, false, nil
}

// present sees to it that there is a line.
func (r *Remote) present(life context.Context) error {
	if r.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(life, patience)
	defer cancel()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		err := r.connect(ctx)
		if err == nil {
			return nil
		}
		if kind := fault.KindOf(err); kind == fault.Denied || kind == fault.Conflict {
			return fault.New(fault.Busy, opSwap, "", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fault.New(fault.Busy, opSwap, "", err)
		}
	}
}

func (r *Remote) drop() {
	r.conn.Close()
	r.conn = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nc = nil
}

// Close ends the line, and calls that still wait fail.
func (r *Remote) Close() error {
	r.mu.Lock()
	r.closed = true
	if r.nc != nil {
		r.nc.Close()
	}
	r.mu.Unlock()
	r.close()
	return nil
}
