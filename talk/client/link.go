package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/frame"
)

// link is one session. Its reader is the goroutine that owns it. mu guards what is below it.
type link struct {
	client *Client
	conn   *websocket.Conn
	places bool          // the server knows places in traces
	out    chan []byte   // what is to be written
	over   chan struct{} // closed when err is there
	err    error
	heard  atomic.Int64 // the time of the last message

	mu    sync.Mutex
	asked map[uint64]chan<- outcome // requests under way; nil when it is over
}

// outcome is what came of a request.
type outcome struct {
	answer frame.Answer
	err    error
	again  bool // it was not begun: ask again
}

// then is what to do after the end of a session.
type then int

const (
	giveUp    then = iota
	dialAgain      // the connection broke, or there is nobody at the moment
	dialSoon       // the server said so
)

// ending is why a session ended, or could not be opened.
type ending struct {
	err  error
	then then
}

func (e *ending) Error() string { return e.err.Error() }
func (e *ending) Unwrap() error { return e.err }

type linkKey struct{}

// dialWithin bounds the opening of a session.
const dialWithin = 10 * time.Second

// writeWithin is how long the server may take to take a message.
const writeWithin = 10 * time.Second

// connect opens a session. Its error is an *ending.
func (c *Client) connect() (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, dialWithin)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, c.target.url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: c.target.transport}, HTTPHeader: c.opts.Header, Subprotocols: []string{c.format.Protocol()},
	})
	if err != nil {
		return nil, c.notOpened(res, err)
	}
	if got := conn.Subprotocol(); got != c.format.Protocol() {
		conn.CloseNow()
		return nil, &ending{err: fault.Text(fault.Invalid, opDial, c.address, "it does not speak "+c.format.Protocol())}
	}
	conn.SetReadLimit(c.opts.MaxMessage)
	l := &link{
		client: c, conn: conn, out: make(chan []byte), over: make(chan struct{}), asked: map[uint64]chan<- outcome{},
		places: res.Header.Get(frame.FieldsHeader) == frame.Traces,
	}
	c.wg.Go(l.run)
	if c.opts.Opened != nil {
		if err := c.opts.Opened(context.WithValue(c.ctx, linkKey{}, l), c); err != nil {
			conn.CloseNow()
			<-l.over
			if e, ok := errors.AsType[*ending](l.err); ok && e.then != giveUp && fault.KindOf(err) == fault.Lost {
				return nil, l.err // it was not Opened's doing
			}
			return nil, &ending{err: err}
		}
	}
	return l, nil
}

// notOpened says why there is no session.
func (c *Client) notOpened(res *http.Response, err error) error {
	if res == nil {
		return &ending{fault.New(fault.Lost, opDial, c.address, fault.Reason(err)), dialAgain}
	}
	text := res.Status
	if body, err := io.ReadAll(io.LimitReader(res.Body, 1000)); err == nil && len(body) > 0 {
		text += ": " + strings.TrimSpace(string(body))
	}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &ending{err: fault.Text(fault.Denied, opDial, c.address, text)}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return &ending{fault.Text(fault.Busy, opDial, c.address, text), dialSoon}
	}
	return &ending{err: fault.Text(fault.Invalid, opDial, c.address, "no API with sessions is there: "+text)}
}

// run has the session until it is over.
func (l *link) run() {
	var wg sync.WaitGroup
	quit := make(chan struct{})
	wg.Go(func() {
		select {
		case <-l.client.ctx.Done():
			l.conn.Close(websocket.StatusNormalClosure, "") // which the reader hears
		case <-quit:
		}
	})
	wg.Go(func() { l.write(quit) })
	wg.Go(func() { l.watch(quit) })
	err := l.read()
	close(quit)
	l.conn.CloseNow()
	l.end(l.why(err))
	wg.Wait()
}

// end answers what is under way.
func (l *link) end(e *ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = e
	for _, to := range l.asked {
		to <- outcome{err: e, again: e.then == dialSoon}
	}
	l.asked = nil
	close(l.over)
}

// why says what the end of a session means.
func (l *link) why(err error) *ending {
	const op = "use session with"
	c := l.client
	if c.ctx.Err() != nil {
		return &ending{err: fault.Text(fault.Canceled, op, c.address, "it was closed here")}
	}
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		return &ending{fault.New(fault.Lost, op, c.address, err), dialAgain}
	}
	text := "the server has closed it: " + closed.Code.String()
	if closed.Reason != "" {
		text = "the server has closed it: " + closed.Reason
	}
	switch closed.Code {
	case websocket.StatusServiceRestart:
		return &ending{fault.Text(fault.Lost, op, c.address, text), dialSoon}
	case websocket.StatusGoingAway, websocket.StatusTryAgainLater, websocket.StatusInternalError, websocket.StatusNoStatusRcvd:
		return &ending{fault.Text(fault.Lost, op, c.address, text), dialAgain}
	case websocket.StatusPolicyViolation:
		return &ending{err: fault.Text(fault.Denied, op, c.address, text)}
	case websocket.StatusNormalClosure:
		return &ending{err: fault.Text(fault.Lost, op, c.address, text)}
	}
	return &ending{err: fault.Text(fault.Invalid, op, c.address, text)}
}

// read takes the server's messages until there are no more.
func (l *link) read() error {
	for {
		_, data, err := l.conn.Read(context.Background()) // whoever ends the session closes its connection
		if err != nil {
			return err
		}
		l.heard.Store(time.Now().UnixNano())
		a, err := l.client.format.ReadAnswer(data)
		switch {
		case err != nil:
			l.client.opts.Logger.Warn("a message of the server cannot be read", "server", l.client.address, "err", err)
			if errors.Is(err, frame.ErrBroken) {
				return err
			}
			l.give(a.ID, outcome{err: fault.New(fault.Remote, "read answer of", l.client.address, err)})
		case a.ID != 0:
			l.give(a.ID, outcome{answer: a})
		case a.Problem != nil:
			l.client.opts.Logger.Warn("the server cannot read a message", "server", l.client.address, "problem", a.Problem.Detail)
		default:
			select {
			case l.client.pushes <- Reply{a.Name, a.Value}:
			case <-l.client.ctx.Done():
			}
		}
	}
}

// give hands over what came of a request, if somebody still wants to know.
func (l *link) give(id uint64, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to := l.asked[id]; to != nil {
		delete(l.asked, id)
		to <- o
	}
}

// expect notes that somebody waits for an answer; false when the session is over. to has room for it.
func (l *link) expect(id uint64, to chan<- outcome) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == nil {
		return false
	}
	l.asked[id] = to
	return true
}

// forget is for who does not want to know any more.
func (l *link) forget(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.asked, id)
}

// write writes what is sent. It has a goroutine of its own so that nobody who sends waits longer than his deadline.
func (l *link) write(quit <-chan struct{}) {
	kind := websocket.MessageText
	if l.client.format.Binary() {
		kind = websocket.MessageBinary
	}
	late := time.AfterFunc(time.Hour, func() { l.conn.CloseNow() })
	defer late.Stop()
	late.Stop()
	for {
		select {
		case data := <-l.out:
			late.Reset(writeWithin)
			l.conn.Write(context.Background(), kind, data) // the reader hears what is wrong
			late.Stop()
		case <-quit:
			return
		}
	}
}

// watch ends the session of a server that does not answer.
func (l *link) watch(quit <-chan struct{}) {
	o := &l.client.opts
	beat := time.NewTicker(o.PingEvery)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
		case <-quit:
			return
		}
		since := time.Now().Add(-o.PingEvery).UnixNano()
		if l.heard.Load() >= since {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), o.PongWithin)
		err := l.conn.Ping(ctx)
		cancel()
		if err != nil && l.heard.Load() < since && len(l.client.pushes) < cap(l.client.pushes) {
			l.conn.CloseNow()
			return
		}
	}
}
