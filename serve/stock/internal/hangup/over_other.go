//go:build !unix

package hangup

const supported = false

func isOver(uintptr) bool { return false }
