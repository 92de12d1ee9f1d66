package role

import (
	"time"

	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/wire"
)

// Subject is where every node is asked for its roles, with an empty message; each answers with NodeStatus.
const Subject = "become.roles"

// NodeStatus is a node's answer.
type NodeStatus struct {
	Node  string   `json:"node"`
	Host  string   `json:"host"`
	Roles []Status `json:"roles"`
}

// Status is what a node does for a role.
type Status struct {
	Name string `json:"name"`
	// State: "starting", "serving", "paused", "stopped", "failed" or "draining".
	State string `json:"state"`
	// Seen is the newest revision of the record that the node has acted on, whatever came of it;
	// while it works on one, that is the one before.
	Seen uint64 `json:"seen"`
	// Edition is the number of the one that serves here; 0 if none does.
	Edition uint64 `json:"edition"`
	// Generation counts the versions in this run of the node.
	Generation uint64 `json:"generation"`
	What       string `json:"what"` // stock server or bundle
	Procs      int    `json:"procs"`
	Ready      int    `json:"ready"`
	Probation  bool   `json:"probation,omitempty"`
	// Reason says why it is not as it should be; Report why the last edition did not last.
	Reason  string        `json:"reason,omitempty"`
	Report  string        `json:"report,omitempty"`
	Sockets []wire.Socket `json:"sockets,omitempty"`
	// Held is what each process is held to, for people.
	Held      []string  `json:"held,omitempty"`
	Open      int       `json:"open"` // connections
	Accepted  uint64    `json:"accepted"`
	Processes []Process `json:"processes,omitempty"`
}

// Process is one serving process.
type Process struct {
	Generation uint64       `json:"generation"`
	Number     int          `json:"number"`
	State      keeper.State `json:"state"`
	PID        int          `json:"pid"`
	Started    time.Time    `json:"started"`
	Open       int          `json:"open"`
	Accepted   uint64       `json:"accepted"`
	Restarts   int          `json:"restarts"`
	Reason     string       `json:"reason,omitempty"`
	RSS        int64        `json:"rss"` // bytes
	CPU        float64      `json:"cpu"` // seconds
}
