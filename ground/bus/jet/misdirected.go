package jet

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// misdirected counts messages that want their answers where no inbox is, for the log.
type misdirected struct {
	mu    sync.Mutex
	count int // since the log was told
	told  time.Time
}

// tellEvery is the shortest time between two lines in the log: a stranger can send many.
const tellEvery = time.Minute

func (d *misdirected) note(logger *slog.Logger, m *nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if !d.told.IsZero() && time.Since(d.told) < tellEvery {
		return
	}
	logger.Warn("dropped messages that want their answers where no inbox is",
		"count", d.count, "subject", fmt.Sprintf("%.100s", m.Subject), "reply", fmt.Sprintf("%.100s", m.Reply))
	d.count, d.told = 0, time.Now()
}
