//go:build linux || darwin

package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/universal-server/become/serve/wire"
)

// waitFor takes settings, an address or none, when the connection to it ends.
func waitFor(_ context.Context, data json.RawMessage) error {
	var addr string
	if err := json.Unmarshal(data, &addr); err != nil || addr == "" {
		return err
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(io.Discard, c)
	return err
}

// Of settings that come while a service takes others only the newest are taken, and none of them is refused for that.
func TestRunKept_TakesTheNewestSettings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := runtime.GOMAXPROCS(0)
	c := startChildAs(t, wire.Start{Service: "slow", Share: &wire.Share{Processors: 1}})
	if m := c.hear(); m.Ready == nil || !m.Ready.Live {
		t.Fatalf("got %+v", m)
	}
	c.say(wire.ToProcess{Settings: &wire.Settings{Number: 1, Value: fmt.Appendf(nil, "%q", l.Addr())}})
	busy, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{2, 3, 4, 5, 7, 6} { // two not in their order, too
		c.say(wire.ToProcess{Settings: &wire.Settings{Number: n, Value: []byte(`""`)}})
	}
	c.say(wire.ToProcess{Share: &wire.Share{Processors: all}})
	c.awaitLine(strconv.Itoa(all)) // it has heard all, unless there is one only
	busy.Close()
	var took []uint64
	for len(took) == 0 || took[len(took)-1] < 7 {
		m := c.hear()
		if m.Took == nil {
			continue
		}
		if took = append(took, m.Took.Number); m.Took.Reason != "" {
			t.Fatalf("settings %d are refused: %s", m.Took.Number, m.Took.Reason)
		}
	}
	if all > 1 && !slices.Equal(took, []uint64{1, 7}) {
		t.Errorf("it took %v, want 1 and 7", took)
	}
}
