package cas_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

func TestServe_AResetEndsOnlyItsConnection(t *testing.T) {
	addr, _ := start(t, nil)
	other := client(t, addr)
	for range 50 {
		c := dial(t, addr)
		io.WriteString(c, "0 0\n0 0\n0 ")
		c.SetLinger(0)
		c.Close()
		if got, err := other.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(0) || err != nil {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}

func TestServe_GarbageIsBadSyntax(t *testing.T) {
	addr, _ := start(t, nil)
	r := rand.NewChaCha8([32]byte{1})
	garbage := make([]byte, 1<<20)
	r.Read(garbage)
	c := dial(t, addr)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c.Write(garbage)
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	if want := new(model).stream(string(garbage), cas.MaxLine); string(got) != want || err != nil {
		t.Errorf("got %d bytes of replies, %v, want %d", len(got), err, len(want))
	}
}

func TestServe_APeerThatNeverReadsCostsLittleAndHoldsUpNobody(t *testing.T) {
	const peers = 20
	addr, _ := start(t, nil)
	big := nines(60_000)
	setter := client(t, addr)
	if _, err := setter.CAS(t.Context(), register.Uint(0), parse(big)); err != nil {
		t.Fatal(err)
	}
	before := heap()
	var wg sync.WaitGroup
	for range peers {
		c := dial(t, addr)
		wg.Go(func() {
			// Each reply is 60 kB: the peer's writes stand still when the server's do.
			c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			line := []byte(strings.Repeat("1 1\n", 10_000))
			for range 1000 {
				if _, err := c.Write(line); err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
					return
				}
			}
			t.Error("40 MB of lines went through that nobody reads the answers to")
		})
	}
	wg.Wait()
	if grown := heap() - before; grown > peers*700_000 {
		t.Errorf("%d peers cost %d bytes", peers, grown)
	}
	if got, err := setter.CAS(t.Context(), parse(big), register.Uint(5)); got != parse(big) || err != nil {
		t.Errorf("the others: %v", err)
	}
}

func TestServe_APeerThatIsNotInTimeLosesItsConnection(t *testing.T) {
	for name, test := range map[string]struct {
		o    cas.Options
		send string
		want string
	}{
		"silent":       {cas.Options{IdleTimeout: time.Millisecond}, "", ""},
		"half a line":  {cas.Options{LineTimeout: time.Millisecond}, "0 1\n1 ", "0\n\r"},
		"endless line": {cas.Options{LineTimeout: 200 * time.Millisecond, MaxLine: 10}, "0 1\n11111111111111111111", "0\n\r"},
		"silent after CR": {cas.Options{LineTimeout: time.Nanosecond, IdleTimeout: 50 * time.Millisecond},
			"0 1\n\r", "0\n\r"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, &test.o)
			c := dial(t, addr)
			io.WriteString(c, test.send)
			got, _ := io.ReadAll(c) // until the server closes, or resets
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestServe_APeerThatDoesNotReadInTimeLosesItsConnection(t *testing.T) {
	addr, _ := start(t, &cas.Options{WriteTimeout: 50 * time.Millisecond})
	c := dial(t, addr)
	line := []byte(strings.Repeat("1 1\n", 10_000))
	for {
		if _, err := c.Write(line); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("still open: %v", err)
			}
			return
		}
	}
}

func TestServe_MoreThanTheCapWait(t *testing.T) {
	addr, _ := start(t, &cas.Options{MaxConns: 2})
	a, b, c := dial(t, addr), client(t, addr), dial(t, addr)
	talkOn := func(c net.Conn) { // one exchange: it is accepted
		io.WriteString(c, "7 7\n")
		if _, err := bufio.NewReader(c).ReadString('\r'); err != nil {
			t.Fatal(err)
		}
	}
	talkOn(a)
	if _, err := b.CAS(t.Context(), register.Uint(0), register.Uint(1)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "1 2\n") // waits
	if got, err := b.CAS(t.Context(), register.Uint(1), register.Uint(1)); got != register.Uint(1) || err != nil {
		t.Fatalf("the third is served already: %v, %v", got, err)
	}
	a.Close()
	if got, err := bufio.NewReader(c).ReadString('\r'); got != "1\n\r" || err != nil {
		t.Errorf("the third got %q, %v", got, err)
	}
}

func TestServe_DrainsWithoutLosingAReply(t *testing.T) {
	addr, stop := start(t, nil)
	const peers = 20
	var conns []*net.TCPConn
	for range peers {
		conns = append(conns, dial(t, addr))
	}
	idle := client(t, addr)
	if _, err := idle.CAS(t.Context(), register.Uint(0), register.Uint(0)); err != nil {
		t.Fatal(err)
	}
	// Their lines are under way when the context ends.
	for _, c := range conns {
		io.WriteString(c, "0 0\n0 0\n0 0")
	}
	done := make(chan error, 1)
	go func() { done <- stop() }()
	for i, c := range conns {
		got, err := io.ReadAll(c)
		if string(got) != "0\n\r0\n\r" || err != nil {
			t.Errorf("peer %d got %q, %v", i, got, err)
		}
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := idle.CAS(t.Context(), register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Lost {
		t.Errorf("after the end: %v", err)
	}
	if _, err := cas.Dial(t.Context(), addr); fault.KindOf(err) != fault.Lost {
		t.Errorf("after the end one connects: %v", err)
	}
}

func TestServe_ABusyPeerIsAnsweredToTheLastLineRead(t *testing.T) {
	addr, stop := start(t, nil)
	c := dial(t, addr)
	r := bufio.NewReader(c)
	var asked, answered int
	for err := error(nil); err == nil; answered++ {
		if answered == 10 {
			go stop()
		}
		asked++
		fmt.Fprintf(c, "%d %d\n", answered, answered+1)
		var got string
		if got, err = r.ReadString('\r'); err == nil && got != fmt.Sprintf("%d\n\r", answered) {
			t.Fatalf("got %q at %d", got, answered)
		} else if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("the connection ended with %v", err)
		}
	}
	c.Close()
	if answered < 10 || asked != answered {
		t.Errorf("%d asked, %d answered", asked, answered)
	}
}

// stuck is a register far away that does not answer.
type stuck chan struct{}

func (s stuck) Swap(ctx context.Context, _ []register.Op) (register.Number, error) {
	close(s)
	<-ctx.Done()
	return register.Number{}, ctx.Err()
}

func TestServe_CutsWhatIsOpenAfterTheDeadline(t *testing.T) {
	s := make(stuck)
	addr, stop := start(t, &cas.Options{Register: s, DrainTimeout: time.Millisecond})
	c := dial(t, addr)
	io.WriteString(c, "0 1\n")
	<-s
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestServe_AListenerThatIsClosedEndsIt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := cas.Serve(t.Context(), ln, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// tired fails a few times before it accepts.
type tired struct {
	net.Listener
	left int
}

type shortage struct{}

func (shortage) Error() string { return "too many open files" }

func (shortage) Temporary() bool { return true }

func (l *tired) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: shortage{}}
	}
	return l.Listener.Accept()
}

func TestServe_AShortageOfDescriptorsPasses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &tired{ln, 3}, nil)
	if got := talk(t, ln.Addr().String(), "0 1\n"); got != "0\n\r" {
		t.Errorf("got %q", got)
	}
}
