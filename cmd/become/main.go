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
)

func main() {
	early()
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}
