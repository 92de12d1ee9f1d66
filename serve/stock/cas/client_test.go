package cas_test

import (
	"bufio"
	"context"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

func TestClient_CallsTravelTogether(t *testing.T) {
	addr, _ := start(t, nil)
	c := client(t, addr)
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			present := register.Uint(0)
			for range 40 {
				for {
					i := present.Big()
					next, _ := register.FromBig(i.Add(i, big.NewInt(1)))
					now, err := c.CAS(t.Context(), present, next)
					if err != nil {
						t.Error(err)
						return
					}
					if now == present {
						wins.Add(1)
						break
					}
					present = now
				}
			}
		})
	}
	wg.Wait()
	if got, err := c.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(2000) || wins.Load() != 2000 || err != nil {
		t.Errorf("%d wins make %v, %v", wins.Load(), got, err)
	}
}

func TestClient_SaysWhatBecameOfACall(t *testing.T) {
	addr, stop := start(t, &cas.Options{MaxLine: 100})
	c := client(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CAS(ctx, register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Canceled {
		t.Errorf("canceled: %v", err)
	}
	if _, err := c.CAS(t.Context(), register.Uint(0), parse(nines(100))); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too long: %v", err)
	}
	if got, err := c.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(0) || err != nil {
		t.Errorf("then %v, %v", got, err)
	}
	stop()
	if _, err := c.CAS(t.Context(), register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Lost {
		t.Errorf("lost: %v", err)
	}
	if _, err := cas.Dial(ctx, addr); fault.KindOf(err) != fault.Canceled {
		t.Errorf("canceled dial: %v", err)
	}
}

func TestClient_LeavesAServerThatTalksNonsense(t *testing.T) {
	for _, answer := range []string{"x\n\r", "-1\n\r", "0\n\r0\n\r0\n\r", strings.Repeat("9", 3<<20)} {
		ours, theirs := net.Pipe()
		c := cas.NewClient(ours)
		go func() {
			bufio.NewReader(theirs).ReadString('\n')
			io.WriteString(theirs, answer)
		}()
		first, err := c.CAS(t.Context(), register.Uint(0), register.Uint(1))
		if answer[0] == '0' {
			if err != nil || first != register.Uint(0) {
				t.Errorf("got %v, %v", first, err)
			}
			_, err = c.CAS(t.Context(), register.Uint(0), register.Uint(1))
		}
		if fault.KindOf(err) != fault.Lost {
			t.Errorf("%s: %v", brief(answer), err)
		}
		c.Close()
		theirs.Close()
	}
}
