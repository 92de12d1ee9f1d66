package master

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/router"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// DefaultListen is where a service listens that nobody told where to.
const DefaultListen = "127.0.0.1:8080"

// Spec is what a service shall be. It travels as JSON.
type Spec struct {
	// Service names one of the services that the program offers; empty if it has one only.
	Service string `json:"service,omitempty"`
	// Settings is the service's settings; empty: its defaults.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Listen is where to listen, see socket.Parse. Default: DefaultListen.
	Listen []string `json:"listen,omitempty"`
	// Procs is how many processes share the sockets. Default 2.
	Procs int `json:"procs,omitempty"`
	// StartMS is how long a process may take from its start until it is ready. Unit: milliseconds.
	// Default: the keeper's, 20 s.
	StartMS int64 `json:"start_ms,omitempty"`
	// ProbationMS is how long a new version is watched after it is ready: if it dies too often
	// until then, the one before is back. Unit: milliseconds. Default: the keeper's, 10 s.
	ProbationMS int64 `json:"probation_ms,omitempty"`
	// DrainMS is how long open connections may go on when their process has to leave. Unit:
	// milliseconds. Default: the keeper's, 30 s.
	DrainMS int64 `json:"drain_ms,omitempty"`
	// Manners go before the program's own. Default: it has its own.
	Manners manners.Manners `json:"manners,omitzero"`
	// Log is how the processes log. Default: from level CONSOLE on, in the format seed.
	Log wire.Log `json:"log,omitzero"`
	// Limits bound what each process uses, Landlock what it reaches. Default: as much as the master.
	Limits   confine.Limits    `json:"limits,omitzero"`
	Landlock *confine.Landlock `json:"landlock,omitempty"`
	// NewPrivileges lets the processes start programs that have more privileges than they have, such
	// as sudo. Default: such programs run without them, on Linux. Landlock goes before.
	NewPrivileges bool `json:"new_privileges,omitempty"`
	// Route, if it is not empty, lets the master accept and hand each connection to a process: it is
	// the policy, see package router. Datagrams are not routed: all processes share their sockets.
	Route string `json:"route,omitempty"`
	// TLS is the certificate of the addresses that begin with tls://, or of all of TCP if none does. Its files are
	// those of the machine that serves, and are read by the master, at each deploy and restart. Default: no TLS.
	TLS cert.Source `json:"tls,omitzero"`
}

// WithDefaults returns the spec with every default filled in.
func (s Spec) WithDefaults() Spec {
	if len(s.Listen) == 0 {
		s.Listen = []string{DefaultListen}
	}
	if s.Procs == 0 {
		s.Procs = 2
	}
	return s
}

// Check says what is wrong with a spec, without touching anything. The errors are of kind fault.Invalid.
func (s Spec) Check() error {
	s = s.WithDefaults()
	const op = "check service"
	switch {
	case s.Procs < 1 || s.Procs > keeper.MaxProcs:
		return fault.Text(fault.Invalid, op, s.Service, fmt.Sprintf("%d processes, must be 1 to %d", s.Procs, keeper.MaxProcs))
	case min(s.StartMS, s.ProbationMS, s.DrainMS) < 0:
		return fault.Text(fault.Invalid, op, s.Service, "a time to start, of probation or to drain is below zero")
	case len(s.Settings) > 0 && !json.Valid(s.Settings):
		return fault.Text(fault.Invalid, op, s.Service, "the settings are not JSON")
	}
	if err := s.Manners.Check(); err != nil {
		return err
	}
	if err := s.TLS.Check(); err != nil {
		return err
	}
	if err := checkLog(s.Log); err != nil {
		return err
	}
	all, err := s.addresses()
	if err != nil {
		return err
	}
	if err := s.checkRoute(all); err != nil {
		return err
	}
	return s.confine().Check()
}

// checkLog says what is wrong with a level or a format.
func checkLog(l wire.Log) (err error) {
	if l.Level != "" {
		_, err = slogs.ParseLevel(l.Level)
	}
	if err == nil && l.Format != "" {
		_, err = slogs.ParseFormat(l.Format)
	}
	return err
}

// checkRoute says what is wrong with a policy, or with what it is for.
func (s Spec) checkRoute(all []wire.Socket) error {
	if s.Route == "" {
		return nil
	}
	policy, err := router.Parse(s.Route)
	if err != nil {
		return err
	}
	const op = "check service"
	if !slices.ContainsFunc(all, func(w wire.Socket) bool { return w.Network != "udp" }) {
		return fault.Text(fault.Invalid, op, s.Service, "datagrams cannot be routed").
			WithHint("leave the route out: all processes share the socket")
	}
	if policy.Reads() && slices.ContainsFunc(all, func(w wire.Socket) bool { return w.TLS }) {
		return fault.Text(fault.Invalid, op, s.Service, "what TLS hides cannot be routed by").
			WithHint("route by least or ip")
	}
	return nil
}

// Confined says whether the description asks for a limit.
func (s Spec) Confined() bool { return s.Limits != (confine.Limits{}) || s.Landlock != nil }

// confine returns the rules that each process is held to.
func (s Spec) confine() confine.Rules {
	return confine.Rules{Limits: s.Limits, Landlock: s.Landlock, NoNewPrivileges: confine.Supported && !s.NewPrivileges}
}

// addresses reads Listen.
func (s Spec) addresses() ([]wire.Socket, error) {
	all := make([]wire.Socket, 0, len(s.Listen))
	seen := map[string]bool{}
	for _, text := range s.Listen {
		a, err := socket.Parse(text)
		if err != nil {
			return nil, err
		}
		if bound := bare(a).String(); seen[bound] && !anyPort(a) {
			return nil, fault.Text(fault.Invalid, "listen at", bound, "it is there twice")
		} else {
			seen[bound] = true
		}
		w := wire.Socket{Name: a.Name, Network: a.Network, Addr: a.Addr, TLS: a.TLS}
		if a.Network != "udp" {
			w.Route = s.Route
		}
		all = append(all, w)
	}
	return all, socket.Secure(all, s.TLS != (cert.Source{}))
}

// SameCode says whether two specs differ in nothing that a running process would have to be replaced for.
func (s Spec) SameCode(other Spec) bool {
	s, other = s.WithDefaults(), other.WithDefaults()
	s.Procs, other.Procs = 0, 0
	a, err1 := json.Marshal(s)
	b, err2 := json.Marshal(other)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
