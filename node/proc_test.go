//go:build unix

package node_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/control"
)

func init() { roles["hasty"] = hastyRole }

// hastyRole says that it took leases, then why it cannot work, and is gone at once.
func hastyRole([]string) error {
	nc, err := process.Inherited(3)
	if err != nil {
		return err
	}
	conn := line.New(nc, nil)
	for i := range 50 {
		data, err := json.Marshal(control.FromChild{Held: &control.Held{Tokens: []string{fmt.Sprint(i)}}})
		if err != nil {
			return err
		}
		if err := conn.Send(data); err != nil {
			return err
		}
	}
	if len(os.Args) > 1 {
		data, _ := json.Marshal(control.FromChild{Failed: &control.Failed{Reason: os.Args[1]}})
		return conn.Send(data)
	}
	os.Exit(3)
	return nil
}

func TestNode_HearsTheLastWordsOfAProcess(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{Workers: 1})
	for i := range 40 {
		var args []string
		want := "exit status 3"
		if i%2 == 0 {
			want = "it has no function"
			args = []string{want}
		}
		child, err := process.Start(t.Context(), process.Spec{Path: os.Args[0], Args: args, Env: append(os.Environ(), roleEnv+"=hasty"), Control: true})
		if err != nil {
			t.Fatal(err)
		}
		reason, refused, held := node.Follow(n, child)
		if reason != want || refused != (i%2 == 0) || len(held) != 50 {
			t.Errorf("it ended with %q (refused: %v) and %d leases, want %q and 50", reason, refused, len(held), want)
		}
	}
}

// A pool that ends forgets itself, not the one that somebody wanted meanwhile.
func TestNode_APoolThatRetiresLeavesItsSuccessorAlone(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	if refused, kept := node.RetireLate(n); !refused || !kept {
		t.Errorf("a want was refused: %v; the successor was kept: %v", refused, kept)
	}
}
