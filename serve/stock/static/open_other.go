//go:build !unix

package static

const noWait = 0
