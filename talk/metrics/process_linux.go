package metrics

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process writes what the system knows of this process, from proc(5) and getrusage(2). What it does not tell is left out.
func (p *page) process() {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil { // in microseconds; stat has hundredths
		p.single("process_cpu_seconds_total", "counter", "Processor time, of the user and of the system.", seconds(used.Utime)+seconds(used.Stime))
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if i := bytes.LastIndexByte(stat, ')'); err == nil && i > 0 {
		p.stat(strings.Fields(string(stat[i+1:]))) // the name before may have blanks
	}
	if all, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.single("process_open_fds", "gauge", "Open files.", float64(len(all)-1)) // but that of this list
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		p.single("process_max_fds", "gauge", "Files that may be open.", float64(limit.Cur))
	}
}

func seconds(t syscall.Timeval) float64 { return float64(t.Nano()) / 1e9 }

// stat takes the fields of /proc/self/stat from the third on.
func (p *page) stat(fields []string) {
	const ticks = 100 // USER_HZ, on all architectures that Go knows
	number := func(place int) float64 {
		if place-3 >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseFloat(fields[place-3], 64)
		return n
	}
	p.single("process_resident_memory_bytes", "gauge", "Memory that is resident.", number(24)*float64(os.Getpagesize()))
	p.single("process_virtual_memory_bytes", "gauge", "Memory that is addressable.", number(23))
	if boot := bootTime(); boot > 0 {
		p.single("process_start_time_seconds", "gauge", "When the process was started, since 1970.", boot+number(22)/ticks)
	}
}

// bootTime is when the machine was started. Unit: seconds since 1970.
func bootTime() float64 {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(data), "\nbtime ")
	if !ok {
		return 0
	}
	word, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseFloat(word, 64)
	return n
}
