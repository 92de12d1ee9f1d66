//go:build !unix

package node

// diskFree cannot tell on this system.
func diskFree(string) int64 { return -1 }
