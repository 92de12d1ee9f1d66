package bundle

import (
	"encoding/json"
	"runtime"
)

// Kind is the sort of code in a bundle; it selects the engine.
type Kind string

const (
	// Native is an executable for one operating system and architecture that
	// imports become.
	Native Kind = "native"
	// JS is a JavaScript source, run by the stock binary on any platform.
	JS Kind = "js"
)

// Manifest describes a bundle. It is signed; nothing in it is believed before
// the signature and the digest were checked.
type Manifest struct {
	// Digest is the lower-case hex SHA-256 of the code.
	Digest string `json:"digest"`
	Kind   Kind   `json:"kind"`
	// Name is what people call it: the program's or file's base name.
	Name string `json:"name"`
	// GOOS and GOARCH are the platform of a native bundle; empty for any.
	GOOS   string `json:"goos,omitempty"`
	GOARCH string `json:"goarch,omitempty"`
	// Size is the code's length in bytes.
	Size int64 `json:"size"`
	// Exports lists what it offers.
	Exports []Export `json:"exports"`
	// Services lists what it can serve as.
	Services []Service `json:"services,omitempty"`
}

// Service is a server that a program can be.
type Service struct {
	Name string `json:"name"`
	// Kind is what it takes: "listeners", "connections", "packets" or "http".
	Kind string `json:"kind,omitempty"`
	// Settings are those that it has when nobody gives it any, JSON of at most MaxSettings bytes. Empty: it has none, or does not say.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// MaxSettings bounds the settings that a manifest tells of a service. Unit: bytes.
const MaxSettings = 64 << 10

// Platform returns "linux/amd64", or "any".
func (m Manifest) Platform() string {
	if m.GOOS == "" {
		return "any"
	}
	return m.GOOS + "/" + m.GOARCH
}

// RunsHere reports whether this machine can run the bundle.
func (m Manifest) RunsHere() bool {
	return m.GOOS == "" || m.GOOS == runtime.GOOS && m.GOARCH == runtime.GOARCH
}

// Export describes one function for people, tools and other languages.
type Export struct {
	Name   string          `json:"name"`
	Doc    string          `json:"doc,omitempty"`
	Input  json.RawMessage `json:"input,omitempty"`  // JSON Schema of the argument
	Output json.RawMessage `json:"output,omitempty"` // JSON Schema of the answer
	Limits Limits          `json:"limits,omitzero"`
}

// Limits bounds the tasks of one function. Zero means the default.
type Limits struct {
	// TimeoutMS ends a task that takes longer. Unit: milliseconds. Default: none.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// Tries is how often a task is started at most, because its worker died or, for
	// a job, because it failed. Default 3.
	Tries int `json:"tries,omitempty"`
	// BackoffMS is the wait before the second try; it doubles for each further one,
	// up to a minute. Unit: milliseconds. Default 100.
	BackoffMS int64 `json:"backoff_ms,omitempty"`
	// Slots is how many tasks of this function run at once in one worker. Default: as
	// many as the worker has slots.
	Slots int `json:"slots,omitempty"`
}
