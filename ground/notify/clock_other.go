//go:build !linux

package notify

// monotonic is for Linux, where systemd is.
func monotonic() int64 { return 0 }
