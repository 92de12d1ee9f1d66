//go:build !unix

package main

// sharesTerminal: a console tells all its processes.
func sharesTerminal() bool { return true }
