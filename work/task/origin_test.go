package task_test

import (
	"strings"
	"testing"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestPack_HasThePlaceOfItsCaller(t *testing.T) {
	for _, state := range []string{"", "a=1, b=2"} {
		place, ok := trace.Parse(parent, state)
		if !ok {
			t.Fatal("no place")
		}
		p, err := task.DecodePack(pack(task.Pack{Format: engine.CBOR, Origin: "boss", Place: place}, task.Value{}))
		if err != nil || p.Origin != "boss" || p.Place != place {
			t.Errorf("got %q, %v, %v", p.Origin, p.Place, err)
		}
		if got := task.ParsePlace(task.PlaceText(place)); got != place {
			t.Errorf("got %v, want %v", got, place)
		}
	}
}

// Of versions without places the origin is the boss's id alone, and to them it is any text.
func TestPack_OriginsOfOtherVersionsAreTaken(t *testing.T) {
	for origin, want := range map[string]string{
		"boss": "boss", "": "", "boss ": "boss", "boss 00-bad": "boss", "boss later words": "boss", " " + parent: "",
		"boss 01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later a=1": "boss", "b " + strings.Repeat("x", 10_000): "b",
	} {
		frame := pack(task.Pack{Format: engine.CBOR, Origin: origin}, task.Value{Data: []byte("v")})
		p, err := task.DecodePack(frame)
		if err != nil || p.Origin != want || p.Count != 1 {
			t.Errorf("%.80q: got %q, %v", origin, p.Origin, err)
		}
	}
}
