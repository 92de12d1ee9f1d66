package control

import (
	"github.com/universal-server/become/ground/bundle"
)

// Env tells a process that it is a node's child: its value is the number of
// the inherited descriptor.
const Env = "BECOME_CHILD"

// ToChild is one message from the node. Exactly one field is set.
type ToChild struct {
	Start *Start `json:"start,omitempty"`
	Drain *Drain `json:"drain,omitempty"`
}

// Start tells the child what to become.
type Start struct {
	Worker string      `json:"worker"` // its id in the fleet
	Node   string      `json:"node"`   // id of its node
	Digest string      `json:"digest"`
	Name   string      `json:"name"`
	Kind   bundle.Kind `json:"kind"`
	// Source is the path of the code, already verified, for engines that read it.
	Source string `json:"source,omitempty"`
	Slots  int    `json:"slots"`
	Solo   bool   `json:"solo,omitempty"`
	// Unix is the path to listen on; TCP, when set, the address for a TLS listener.
	Unix  string `json:"unix,omitempty"`
	TCP   string `json:"tcp,omitempty"`
	Token []byte `json:"token"`
	// Bus is the URL to connect to and Ticket what to show there.
	Bus    string `json:"bus"`
	Ticket string `json:"ticket,omitempty"`
	// Public is the fleet's public key, as text.
	Public string `json:"public,omitempty"`
	// Memory is the limit of the heap in bytes; 0 means none. The node kills a process
	// that grows past it and a reserve.
	Memory int64 `json:"memory,omitempty"`
	// GraceMS is how long a cancelled task may go on before the process is killed.
	GraceMS int64 `json:"grace_ms"`
	// CertPEM and KeyPEM are the TLS identity for TCP, signed by the fleet's key.
	CertPEM []byte `json:"cert_pem,omitempty"`
	KeyPEM  []byte `json:"key_pem,omitempty"`
}

// Drain tells the child to take no new tasks, finish those it has, and leave.
type Drain struct {
	// WithinMS is the deadline, after which the node kills it.
	WithinMS int64 `json:"within_ms"`
}

// FromChild is one message from the child. Exactly one field is set.
type FromChild struct {
	Ready  *Ready  `json:"ready,omitempty"`
	Stats  *Stats  `json:"stats,omitempty"`
	Failed *Failed `json:"failed,omitempty"`
	Leave  *Leave  `json:"leave,omitempty"`
	Held   *Held   `json:"held,omitempty"`
}

// Ready says that the child answers lines.
type Ready struct {
	PID   int    `json:"pid"`
	Slots int    `json:"slots"`
	Unix  string `json:"unix,omitempty"`
	TCP   string `json:"tcp,omitempty"` // the address really bound
}

// Failed says why the child cannot become what it was told.
type Failed struct {
	Reason string `json:"reason"`
}

// Leave asks the node to kill the child now and says why: a task ignored its
// cancellation, or memory ran out. The reason reaches the bosses.
type Leave struct {
	Reason string `json:"reason"`
}

// Held names leases of job records that the child has taken. Should it die,
// the node gives the newest HeldMost back, so that nobody waits for them to run out.
type Held struct {
	Tokens []string `json:"tokens"`
}

// HeldMost is how many leases a child can have.
const HeldMost = 256

// Stats is sent when something changed, at most every 250 ms.
type Stats struct {
	Running int      `json:"running"`
	Done    uint64   `json:"done"`
	Failed  uint64   `json:"failed"`
	Lines   int      `json:"lines"`
	Jobs    []string `json:"jobs,omitempty"`
}
