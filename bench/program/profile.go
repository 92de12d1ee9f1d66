package main

import (
	"os"
	"runtime/pprof"
)

// profile writes the boss's CPU profile to the file that BENCH_PROFILE names,
// until the returned function is called.
func profile() func() {
	path := os.Getenv("BENCH_PROFILE")
	if path == "" {
		return func() {}
	}
	f, err := os.Create(path)
	if err != nil {
		return func() {}
	}
	if pprof.StartCPUProfile(f) != nil {
		f.Close()
		return func() {}
	}
	return func() { pprof.StopCPUProfile(); f.Close() }
}
