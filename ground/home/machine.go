package home

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
)

// MachineID returns the same text in every process that runs on this machine
// since this boot and, on Linux, in this network namespace: processes that can
// expect to reach each other's Unix sockets. It is a guess about files: two containers
// can share a network and no folder, so a dial must be allowed to fail.
func MachineID() string {
	parts := []string{"become machine", runtime.GOOS, bootID()}
	if ns, err := os.Readlink("/proc/self/ns/net"); err == nil {
		parts = append(parts, ns)
	} else if host, err := os.Hostname(); err == nil {
		parts = append(parts, host)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
