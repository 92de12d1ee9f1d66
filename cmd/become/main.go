// Command become starts nodes, sends code to them and asks them things: one
// file per subcommand, all of them on package fleet alone.
//
//	person → [become] → fleet → node → worker
//
// The same program is the host of bundles that are no executables: a node starts it
// with control.Env set, and it becomes a worker before it looks at any argument.
package main

import (
	"context"
	"os"
	"runtime"

	"github.com/universal-server/become/ground/reexec"
)

// The main thread is for reexec: whoever has children can be replaced then.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(reexec.Main(func() int {
		early()
		return run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	}))
}
