package roster

import (
	"time"

	"github.com/universal-server/become/ground/bundle"
)

// Subjects. Those with a digest end in it.
const (
	SubjectWant     = "become.want"      // boss → every node: Want, answered by Offer
	SubjectUp       = "become.up."       // + digest; node → bosses: Endpoint
	SubjectDown     = "become.down."     // + digest; node → bosses: Down
	SubjectWake     = "become.wake"      // submitter → every node: the digest, as text: jobs are queued
	SubjectStatus   = "become.status"    // client → every node: empty, answered by Status
	SubjectLogs     = "become.logs"      // client → every node: LogQuery, answered by LogChunk messages
	SubjectNode     = "become.node."     // + node id + "." + verb: client → one node
	SubjectProgress = "become.progress." // + boss + "." + job id; worker → boss
	SubjectCancel   = "become.cancel."   // + digest; client → workers: a job to cancel
)

// UpgradeSubject is where a node is asked to become the version that is installed on its machine; empty. It answers with
// the error, see fault.Marshal, if it does not; if it does, its status tells.
func UpgradeSubject(node string) string { return SubjectNode + node + ".upgrade" }

// ProgressSubject returns where a job's reports go.
func ProgressSubject(boss, job string) string { return SubjectProgress + boss + "." + job }

// Stores of a fleet.
const (
	QueueJobs    = "become_job"     // Queue: subjects become_job.<digest>.<function>
	LogResults   = "become_result"  // Log: see package work/result
	LogDead      = "become_dead"    // Log: dead letters
	KVNames      = "become_names"   // KV: name → deployment
	KVBundles    = "become_bundles" // KV: digest → signed manifest
	BlobsCode    = "become_code"    // Blobs: digest → code
	BlobsValues  = "become_values"  // Blobs: large values by reference, aged out
	KVTombstones = "become_tombs"   // KV: cancelled jobs
)

// Timing of wants.
const (
	RenewWant = 2 * time.Second
	WantLasts = 7 * time.Second
)

// Want says that a boss has use for a bundle.
type Want struct {
	Digest string `json:"digest"`
	// Solo asks for a worker of its own with one slot, for a task that is suspected of
	// killing its process.
	Solo bool `json:"solo,omitempty"`
	// Boss names who wants it, for people.
	Boss string `json:"boss,omitempty"`
}

// Offer is a node's answer to a Want.
type Offer struct {
	Node     string `json:"node"`     // node id
	Platform string `json:"platform"` // "linux/amd64"
	// Refused says why this node will not run the bundle; empty when it will.
	Refused string `json:"refused,omitempty"`
	// Kind is the fault kind name of the refusal: "denied", "not found", "busy", "invalid".
	Kind string `json:"kind,omitempty"`
	// WrongPlatform is set when the refusal is about operating system or architecture.
	WrongPlatform bool `json:"wrong_platform,omitempty"`
	// Failed is set when the bundle's processes keep crashing at their start.
	Failed  bool       `json:"failed,omitempty"`
	Workers []Endpoint `json:"workers,omitempty"` // ready now
}

// Endpoint is a ready worker and how to reach it.
type Endpoint struct {
	Worker string `json:"worker"` // unique id of the process
	Node   string `json:"node"`
	PID    int    `json:"pid"`
	Slots  int    `json:"slots"`
	Solo   bool   `json:"solo,omitempty"`
	// Machine tells processes on one machine from others: only there Unix is dialled.
	Machine string `json:"machine"`
	// Unix is the path of the worker's socket; TCP, when set, is host:port of its TLS
	// listener. With neither in reach the line runs over the bus.
	Unix string `json:"unix,omitempty"`
	TCP  string `json:"tcp,omitempty"`
	// Token is the secret both ends of a line prove to each other that they know.
	Token []byte `json:"token"`
}

// Down says that a worker is gone.
type Down struct {
	Worker string `json:"worker"`
	// Reason is for people: "killed: memory above 256 MiB", "exit status 2", "idle".
	Reason string `json:"reason"`
	// Died is set when it went by itself, not by the node's wish.
	Died bool `json:"died,omitempty"`
}

// Status is a node's answer to a status request.
type Status struct {
	Node      string          `json:"node"`
	Host      string          `json:"host"`
	PID       int             `json:"pid"`
	Platform  string          `json:"platform"`
	Version   string          `json:"version"`
	Started   time.Time       `json:"started"`
	Bus       string          `json:"bus"`      // URL it is connected to
	Embedded  bool            `json:"embedded"` // it runs the bus itself
	RSS       int64           `json:"rss"`      // bytes
	CPU       float64         `json:"cpu"`      // seconds used since start
	Home      string          `json:"home"`
	DiskFree  int64           `json:"disk_free"`       // bytes
	Full      string          `json:"full,omitempty"`  // why new jobs are refused
	Beats     bool            `json:"beats,omitempty"` // it answers who follows its log each LogBeat
	Processes []ProcessStatus `json:"processes"`
}

// ProcessStatus is one worker process, or a bundle that failed to start.
type ProcessStatus struct {
	Worker   string      `json:"worker"`
	PID      int         `json:"pid"`
	Bundle   string      `json:"bundle"` // digest
	Name     string      `json:"name"`
	Kind     bundle.Kind `json:"kind"`
	State    string      `json:"state"` // starting, ready, draining, backoff, failed
	Reason   string      `json:"reason,omitempty"`
	Started  time.Time   `json:"started"`
	RSS      int64       `json:"rss"`
	CPU      float64     `json:"cpu"`
	Slots    int         `json:"slots"`
	Running  int         `json:"running"`        // tasks running now
	Done     uint64      `json:"done"`           // tasks finished since its start
	Failed   uint64      `json:"failed"`         // of these, with an error
	Lines    int         `json:"lines"`          // bosses connected
	Jobs     []string    `json:"jobs,omitempty"` // ids of jobs running now, 100 at most
	Restarts int         `json:"restarts"`
	Solo     bool        `json:"solo,omitempty"`
}
