package micro

import (
	"crypto/rand"
	"regexp"
	"sync"
	"time"

	"github.com/universal-server/become/talk/api"
)

// What ADR-32 calls things.
const (
	group       = "q"
	headerError = "Nats-Service-Error"
	headerCode  = "Nats-Service-Error-Code"
)

// identity is what every answer about a service begins with.
type identity struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`
	Version  string            `json:"version"`
	Metadata map[string]string `json:"metadata"`
}

var (
	versions = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+][0-9A-Za-z.+-]+)?$`)
	brief    = regexp.MustCompile(`^(0|[1-9]\d*)(\.(0|[1-9]\d*))?$`)
)

func newIdentity(a *api.API, o Options) identity {
	self := identity{Name: o.Name, ID: o.ID, Version: semantic(a.Version()), Metadata: o.Metadata}
	if self.ID == "" {
		self.ID = rand.Text()
	}
	if self.Metadata == nil {
		self.Metadata = map[string]string{}
	}
	return self
}

// semantic makes a version of three numbers of what may be less; the protocol wants one.
func semantic(version string) string {
	switch m := brief.FindStringSubmatch(version); {
	case versions.MatchString(version):
		return version
	case m == nil:
		return "0.0.0"
	case m[2] == "":
		return version + ".0.0"
	}
	return version + ".0"
}

type pong struct {
	identity
	Type string `json:"type"`
}

func (s *Service) ping() any { return pong{s.self, "io.nats.micro.v1.ping_response"} }

type infoEndpoint struct {
	Name       string            `json:"name"`
	Subject    string            `json:"subject"`
	QueueGroup string            `json:"queue_group"`
	Metadata   map[string]string `json:"metadata"`
}

type info struct {
	identity
	Type        string         `json:"type"`
	Description string         `json:"description"`
	Endpoints   []infoEndpoint `json:"endpoints"`
}

func (s *Service) info() any {
	out := info{identity: s.self, Type: "io.nats.micro.v1.info_response", Description: s.api.Doc(), Endpoints: []infoEndpoint{}}
	for _, e := range s.endpoints {
		metadata := map[string]string{}
		if e.handler.Doc != "" {
			metadata["doc"] = e.handler.Doc
		}
		out.Endpoints = append(out.Endpoints, infoEndpoint{e.handler.Name, e.subject, group, metadata})
	}
	return out
}

// endpoint is a request at the bus, and what became of those that came.
type endpoint struct {
	handler *api.Handler
	subject string

	mu       sync.Mutex
	requests uint64
	errors   uint64
	last     string
	time     time.Duration
}

func (e *endpoint) count(took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	e.time += took
	if err != nil {
		e.errors++
		e.last = oneLine(err.Error())
	}
}

type statsEndpoint struct {
	Name       string        `json:"name"`
	Subject    string        `json:"subject"`
	QueueGroup string        `json:"queue_group"`
	Requests   uint64        `json:"num_requests"`
	Errors     uint64        `json:"num_errors"`
	LastError  string        `json:"last_error"`
	Time       time.Duration `json:"processing_time"` // in nanoseconds, as the next
	Average    time.Duration `json:"average_processing_time"`
}

type stats struct {
	identity
	Type      string          `json:"type"`
	Started   time.Time       `json:"started"`
	Endpoints []statsEndpoint `json:"endpoints"`
}

func (s *Service) stats() any {
	out := stats{identity: s.self, Type: "io.nats.micro.v1.stats_response", Started: s.started, Endpoints: []statsEndpoint{}}
	for _, e := range s.endpoints {
		out.Endpoints = append(out.Endpoints, e.stats())
	}
	return out
}

func (e *endpoint) stats() statsEndpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	one := statsEndpoint{
		Name: e.handler.Name, Subject: e.subject, QueueGroup: group,
		Requests: e.requests, Errors: e.errors, LastError: e.last, Time: e.time,
	}
	if e.requests > 0 {
		one.Average = e.time / time.Duration(e.requests)
	}
	return one
}
