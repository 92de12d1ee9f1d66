package reexec

import (
	"runtime"
	"sync/atomic"
)

// calls are functions for the main thread; nil without Main.
var calls atomic.Pointer[chan func()]

// Main runs f in a goroutine of its own, keeps the main thread for OnMain, and returns
// what f returns. To be on the main thread at all, the program calls runtime.LockOSThread in an
// init function of its package main, and Main from its main function.
func Main(f func() int) int {
	if !onMainThread() {
		return f()
	}
	runtime.LockOSThread()
	todo := make(chan func())
	calls.Store(&todo)
	code := make(chan int, 1)
	go func() { code <- f() }()
	for {
		select {
		case g := <-todo:
			g()
		case n := <-code:
			return n
		}
	}
}

// OnMain calls f on the program's main thread and returns when it has returned. It is false, and f
// not called, when the program did not begin with Main. After Main has returned it blocks.
func OnMain(f func()) bool {
	todo := calls.Load()
	if todo == nil {
		return false
	}
	done := make(chan struct{})
	*todo <- func() { defer close(done); f() }
	<-done
	return true
}
