package wire

import (
	"encoding/json"

	"github.com/universal-server/become/serve/manners"
)

// Env tells a process that a keeper started it: its value is the number of
// the line's descriptor.
const Env = "BECOME_SERVE"

// ToProcess is one message from the keeper. Exactly one field is set.
type ToProcess struct {
	Start *Start `json:"start,omitempty"`
	Share *Share `json:"share,omitempty"`
	Drain *Drain `json:"drain,omitempty"`
	Log   *Log   `json:"log,omitempty"`
	// Settings is only for a process that said Live.
	Settings *Settings `json:"settings,omitempty"`
}

// Start tells the process what to become.
type Start struct {
	// Service names one of the services that the program offers; empty if it has one only.
	Service string `json:"service,omitempty"`
	// Generation counts the versions under the keeper's name, from 1; Process is the process's number
	// in it, from 1.
	Generation uint64 `json:"generation"`
	Process    int    `json:"process"`
	// Settings is the service's settings as JSON; empty: its defaults.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Manners go before the program's own. Nil: it has its own.
	Manners *manners.Manners `json:"manners,omitempty"`
	// Certificate is needed if any of the sockets has TLS.
	Certificate *Certificate `json:"certificate,omitempty"`
	// Bus is where requests to the service's name come from besides. Nil: from nowhere.
	Bus *Bus `json:"bus,omitempty"`
	// Log is how it logs. Nil: as the zero Log says.
	Log *Log `json:"log,omitempty"`
	// Share is the process's part of the machine. Nil: all of it.
	Share *Share `json:"share,omitempty"`
	// Sockets describes the inherited descriptors after the line's, in their order.
	Sockets []Socket `json:"sockets"`
}

// Log is how a process logs, with log/slog on its standard error, unless its program has its own way. Told again it changes
// the level alone. What the receiver does not know, of another version, it takes for empty.
type Log struct {
	// Level is a name that package slogs knows. Empty: CONSOLE.
	Level string `json:"level,omitempty"`
	// Format: seed, json or text. Empty: seed.
	Format string `json:"format,omitempty"`
	// PID says whether the lines tell the process.
	PID bool `json:"pid,omitempty"`
}

// Bus is how a process reaches the fleet's bus.
type Bus struct {
	// URL is where it is, Ticket what to show there, Public the fleet's public key as text.
	URL    string `json:"url"`
	Ticket string `json:"ticket,omitempty"`
	Public string `json:"public,omitempty"`
	// Name is the service's at the bus, ID the process's, Node where it runs.
	Name string `json:"name"`
	ID   string `json:"id"`
	Node string `json:"node,omitempty"`
}

// Socket is an open socket that all processes of a service share, or at which their keeper's program
// accepts for them.
type Socket struct {
	// Name tells a service's sockets apart: "http", "admin"; the first is usually "".
	Name string `json:"name,omitempty"`
	// Network is tcp, udp or unix; Addr the address really bound.
	Network string `json:"network"`
	Addr    string `json:"addr"`
	// Route, if it is not empty, says that the process does not accept: its descriptor is the end of a pair
	// on which connections are handed over to it, see package handoff. It is the policy by which
	// they are, see package router.
	Route string `json:"route,omitempty"`
	// TLS says that what is accepted there speaks TLS, with the certificate of Start.
	TLS bool `json:"tls,omitempty"`
}

// String is the socket for people: tcp://127.0.0.1:8080.
func (s Socket) String() string {
	if s.TLS {
		return "tls://" + s.Addr
	}
	return s.Network + "://" + s.Addr
}

// Certificate is what the process shows on sockets with TLS. The process itself may not be allowed to read it.
type Certificate struct {
	Cert []byte `json:"cert"` // PEM: the certificate with the ones that signed it
	Key  []byte `json:"key"`  // PEM
}

// Share says how much of the machine the process uses, beside the others that serve with it. It changes
// when their number does.
type Share struct {
	Processors int `json:"processors"` // at most; at least 1
}

// Settings are other ones, to be taken by the process that runs. It answers with Took, unless newer ones come before it has begun to take these.
type Settings struct {
	Number uint64          `json:"number"` // grows with each of a process
	Value  json.RawMessage `json:"value,omitempty"`
}

// Drain tells the process to accept no more, end what is open, and leave.
type Drain struct {
	// WithinMS is the deadline, after which the keeper kills it. Unit: milliseconds.
	WithinMS int64 `json:"within_ms"`
}

// FromProcess is one message from the process. Exactly one field is set.
type FromProcess struct {
	Ready  *Ready  `json:"ready,omitempty"`
	Stats  *Stats  `json:"stats,omitempty"`
	Failed *Failed `json:"failed,omitempty"`
	Took   *Took   `json:"took,omitempty"`
}

// Ready says that the process accepts, its own probe passed.
type Ready struct {
	// Live says that it takes other Settings while it runs.
	Live bool `json:"live,omitempty"`
}

// Took says that the process has other settings now, or why it refused them and has the old ones.
type Took struct {
	Number uint64 `json:"number"` // of the Settings
	Reason string `json:"reason,omitempty"`
}

// Stats is what the process does, sent when it has changed.
type Stats struct {
	Open     int    `json:"open"`     // connections
	Accepted uint64 `json:"accepted"` // since the start
}

// Failed says why the process cannot serve. It leaves then.
type Failed struct {
	Reason string `json:"reason"`
	// Kind is the reason's, as fault.Kind writes it; empty if nobody knows.
	Kind string `json:"kind,omitempty"`
}
