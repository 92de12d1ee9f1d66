package node

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/work/roster"
)

// Status describes the node and its processes.
func (n *Node) Status() roster.Status {
	host, _ := os.Hostname()
	s := roster.Status{
		Beats: true,
		Node:  n.ID(), Host: host, PID: os.Getpid(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Version: n.opts.Version,
		Started: n.started, Bus: n.url, Embedded: n.server != nil, Home: n.home.Dir(), DiskFree: disk.Free(n.home.Dir()),
	}
	if why := n.full.Load(); why != nil {
		s.Full = *why
	}
	if rss, cpu, err := process.Usage(os.Getpid()); err == nil {
		s.RSS, s.CPU = rss, cpu.Seconds()
	}
	n.mu.Lock()
	pools := make([]*pool, 0, len(n.pools))
	for _, p := range n.pools {
		pools = append(pools, p)
	}
	n.mu.Unlock()
	for _, p := range pools {
		s.Processes = append(s.Processes, p.status()...)
	}
	slices.SortFunc(s.Processes, func(a, b roster.ProcessStatus) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.PID - b.PID
	})
	return s
}

func (n *Node) onStatus(m bus.Message) {
	if m.Reply == "" {
		return
	}
	n.work(func() {
		if data, err := json.Marshal(n.Status()); err == nil {
			n.bus.Publish(m.Reply, data)
		}
	})
}
