package service

import (
	"os"
	"runtime"
)

// takeShare uses so many of the machine's processors at most, 0 for all. Who says how many in the environment
// knows better.
func takeShare(processors int) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.SetDefaultGOMAXPROCS() // what the machine, or a limit, gives
	if processors > 0 && processors < runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(processors)
	}
}
