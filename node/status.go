package node

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/work/roster"
)

// Status describes the node and its processes.
func (n *Node) Status() roster.Status {
	host, _ := os.Hostname()
	s := roster.Status{
		Node: n.ID(), Host: host, PID: os.Getpid(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Version: n.opts.Version,
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

// logChunk is how many lines one answer holds, far below the bus's limit on
// messages.
const (
	logChunk   = 100
	chunkBytes = 256 << 10
)

// onLogs answers with stored lines, and goes on with new ones if asked to.
func (n *Node) onLogs(m bus.Message) {
	var q roster.LogQuery
	if json.Unmarshal(m.Data, &q) != nil || m.Reply == "" {
		return
	}
	if q.Node != "" && !strings.HasPrefix(n.ID(), q.Node) {
		return
	}
	n.work(func() { n.sendLogs(q, m.Reply) })
}

// followAtMost ends a follower that never said stop: its process may be gone.
const followAtMost = 12 * time.Hour

func (n *Node) sendLogs(q roster.LogQuery, reply string) {
	ctx, cancel := context.WithTimeout(n.ctx, followAtMost)
	defer cancel()
	if q.Count == 0 {
		q.Count = 1000
	}
	query := logs.Query{Since: q.Since, Count: q.Count, Match: func(l logs.Line) bool {
		return (q.Bundle == "" || l.Name == q.Bundle || strings.HasPrefix(l.Bundle, q.Bundle)) && (q.Worker == "" || strings.HasPrefix(l.Worker, q.Worker))
	}}
	chunk := roster.LogChunk{Node: n.ID()}
	bytes := 0
	flush := func() error {
		data, err := json.Marshal(chunk)
		if err != nil {
			return err
		}
		chunk.Lines, bytes = nil, 0
		return n.bus.Publish(reply, data)
	}
	add := func(l logs.Line) error {
		chunk.Lines = append(chunk.Lines, roster.LogLine{Time: l.Time, Node: n.ID(), Bundle: l.Bundle, Name: l.Name, Worker: l.Worker, PID: l.PID, Stream: l.Stream, Text: l.Text})
		bytes += len(l.Text) + 200
		if q.Follow || len(chunk.Lines) >= logChunk || bytes > chunkBytes {
			return flush()
		}
		return nil
	}
	if q.Follow && q.Stop != "" {
		s, err := n.bus.Subscribe(q.Stop, "", func(bus.Message) { cancel() })
		if err == nil {
			defer s.Unsubscribe()
		}
		n.logs.Follow(ctx, query, add)
	} else {
		n.logs.Read(ctx, query, add)
	}
	chunk.End = true
	flush()
}
