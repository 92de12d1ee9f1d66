package cas_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
	"github.com/universal-server/become/serve/stock/cas"
)

// swapper is what a client is too, but that it has one operation at a time.
type swapper interface {
	CAS(ctx context.Context, old, new register.Number) (register.Number, error)
}

// history lets clients call at the same time, and says what they saw. What they store is each time another value.
func history(t *testing.T, clients, calls int, of func(int) swapper) *registertest.History {
	t.Helper()
	h := new(registertest.History)
	var wg sync.WaitGroup
	for id := range clients {
		c := of(id)
		wg.Go(func() {
			guess := register.Uint(0)
			for i := range calls {
				op := register.Op{Old: guess, New: parse(fmt.Sprintf("%d%0*d", id+1, 3+i%3*9, i))}
				now, err := h.Record(id, []register.Op{op}, func() (register.Number, error) { return c.CAS(t.Context(), op.Old, op.New) })
				if err != nil {
					t.Error(err)
					return
				}
				guess = op.After(now)
			}
		})
	}
	wg.Wait()
	return h
}

func TestServe_ManyConnectionsShareOneLinearizableRegister(t *testing.T) {
	for range 3 {
		addr, stop := start(t, nil)
		history(t, 8, 75, func(int) swapper { return client(t, addr) }).Check(t, porcupine.Ok)
		stop()
	}
}

// Two registers are not one: the check sees it.
func TestServe_ARegisterPerServerIsNotLinearizable(t *testing.T) {
	a, _ := start(t, nil)
	b, _ := start(t, nil)
	history(t, 8, 50, func(id int) swapper { return client(t, []string{a, b}[id%2]) }).Check(t, porcupine.Illegal)
}

func TestServe_AMillionOperationsOnOneConnection(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	addr, _ := start(t, nil)
	c := dial(t, addr)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		w := bufio.NewWriterSize(c, 60_000)
		var line []byte
		for i := range n {
			// Every tenth fails; the others count.
			old := uint64(i - i/10)
			if i%10 == 9 {
				old++
			}
			line = strconv.AppendUint(line[:0], old, 10)
			line = append(line, ' ')
			line = strconv.AppendUint(line, old+1, 10)
			w.Write(append(line, '\n'))
		}
		w.Flush()
		c.CloseWrite()
	})
	r := bufio.NewReaderSize(c, 60_000)
	var want []byte
	for i := range n {
		got, err := r.ReadSlice('\r')
		want = append(strconv.AppendUint(want[:0], uint64(i-i/10), 10), '\n', '\r')
		if err != nil || !bytes.Equal(got, want) {
			c.Close()
			t.Fatalf("operation %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// broken fails at one value, and counts.
type broken struct {
	register.Memory
	calls atomic.Int64
}

func (b *broken) Swap(ctx context.Context, ops []register.Op) (register.Number, error) {
	b.calls.Add(1)
	for _, op := range ops {
		if op.New == register.Uint(13) {
			return register.Number{}, errors.New("far away")
		}
	}
	return b.Memory.Swap(ctx, ops)
}

func TestServe_ARegisterThatFailsGetsNoReply(t *testing.T) {
	reg := new(broken)
	addr, _ := start(t, &cas.Options{Register: reg})
	// The line that is no operation parts two batches: the first is answered, of the second nobody knows.
	if got := talkUntilClosed(t, addr, "0 1\n1 2\nx\n2 3\n2 13\n1 2\nx\n"); got != "0\n\r1\n\rBad Syntax\n\r" {
		t.Errorf("got %q", got)
	}
	if reg.String() != "2" {
		t.Errorf("the register holds %s", &reg.Memory)
	}
}

func TestServe_LinesThatComeTogetherAreDoneTogether(t *testing.T) {
	reg := new(broken)
	addr, _ := start(t, &cas.Options{Register: reg})
	const lines = 10_000
	if got := talk(t, addr, strings.Repeat("0 0\n", lines)); got != strings.Repeat("0\n\r", lines) {
		t.Errorf("got %d bytes", len(got))
	}
	if got := reg.calls.Load(); got > lines/50 {
		t.Errorf("%d calls for %d lines", got, lines)
	}
}

func TestServe_Chatters(t *testing.T) {
	var out bytes.Buffer
	addr, stop := start(t, &cas.Options{Chatter: &out})
	talk(t, addr, "0 1\r\n", "x\x1b[2J\xff\n\t1 2\n", strings.Repeat("9", 300)+"\n", "half")
	stop()
	peer, rest, _ := strings.Cut(out.String(), "\n")
	if !regexp.MustCompile(`^Connection from  \('127\.0\.0\.1', \d+\)$`).MatchString(peer) {
		t.Errorf("got %q", peer)
	}
	if want := "0 1\nx?[2J?\n\t1 2\n" + strings.Repeat("9", 200) + "…\n"; rest != want {
		t.Errorf("got %q, want %q", rest, want)
	}
}
