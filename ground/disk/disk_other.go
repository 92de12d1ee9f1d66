//go:build !unix

package disk

// Free returns the bytes that can still be written below dir; here it cannot
// be told: -1.
func Free(string) int64 { return -1 }
