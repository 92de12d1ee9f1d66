package keeper

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/wire"
)

// HandoverVersion is the form of Handover that this version of the package writes, and the only one
// that it reads.
const HandoverVersion = 1

// Handover is all that another program needs to go on as this keeper: see Keeper.Handover. It travels as JSON,
// beside the files that it speaks of. Treat it as opaque: it holds the environments of programs, too.
type Handover struct {
	Version     int               `json:"version"`
	Last        uint64            `json:"last"`
	Procs       int               `json:"procs"`
	Paused      bool              `json:"paused,omitempty"`
	Report      string            `json:"report,omitempty"`
	Orders      uint64            `json:"orders,omitempty"`
	Owed        bool              `json:"owed,omitempty"` // maybe not all have taken the settings
	LogLevel    string            `json:"log_level,omitempty"`
	Unproven    []string          `json:"unproven,omitempty"`
	Sockets     []socketState     `json:"sockets"` // all that are used, each once
	Default     []int             `json:"default"` // those given to New, by their place in Sockets
	Generations []generationState `json:"generations"`
	Current     uint64            `json:"current"` // its number, 0 for none
	History     []programState    `json:"history,omitempty"`
	Probation   *probationState   `json:"probation,omitempty"`
	Trying      *tryingState      `json:"trying,omitempty"`
	Undone      uint64            `json:"undone,omitempty"`
	Slots       []slotState       `json:"slots"`
}

type socketState struct {
	wire.Socket
	File int `json:"file"` // 0 for none
}

type programState struct {
	Program
	Sockets []int // in place of the program's own; nil for the default ones
}

type generationState struct {
	Number  uint64       `json:"number"`
	Program programState `json:"program"`
	Trial   trialState   `json:"trial"`
}

type trialState struct {
	Most   int    `json:"most"`
	Deaths int    `json:"deaths"`
	Over   bool   `json:"over"`
	Err    []byte `json:"err,omitempty"`
}

type probationState struct {
	Generation uint64    `json:"generation"`
	Before     uint64    `json:"before"` // 0 for none
	Until      time.Time `json:"until"`
}

// tryingState is of the generation that is current.
type tryingState struct {
	Was    json.RawMessage `json:"was,omitempty"`
	Before *tryingState    `json:"before,omitempty"`
	Deaths int             `json:"deaths,omitempty"`
	Err    []byte          `json:"err,omitempty"`
	Until  time.Time       `json:"until"`
}

type slotState struct {
	Generation uint64        `json:"generation"`
	Serving    int           `json:"serving,omitempty"` // its place among those that serve, from 1
	Trial      bool          `json:"trial"`             // its generation's is its own
	Stopped    bool          `json:"stopped,omitempty"`
	Status     ProcessStatus `json:"status"`
	All        []time.Time   `json:"all,omitempty"` // deaths
	Early      []time.Time   `json:"early,omitempty"`
	Failed     bool          `json:"failed,omitempty"`
	Pause      time.Duration `json:"pause,omitempty"`
	Life       *lifeState    `json:"life,omitempty"`
}

type lifeState struct {
	Child    process.State `json:"child"`
	Seats    []seatState   `json:"seats,omitempty"`    // by socket, if any is
	Received []byte        `json:"received,omitempty"` // on the line, and not yet heard
	Silent   bool          `json:"silent,omitempty"`
	Ready    time.Time     `json:"ready,omitzero"`
	Late     time.Time     `json:"late,omitzero"`
	Deadline time.Time     `json:"deadline,omitzero"`
	Told     bool          `json:"told,omitempty"`
	Err      []byte        `json:"err,omitempty"`
	Hopeless bool          `json:"hopeless,omitempty"`
	Words    []byte        `json:"words,omitempty"`
	Headline string        `json:"headline,omitempty"` // of the words
	Stdout   []byte        `json:"stdout,omitempty"`   // what its writers hold back
	Stderr   []byte        `json:"stderr,omitempty"`
}

// writing is a state that is being written.
type writing struct {
	*Handover
	out   *reexec.Out
	known map[Socket]int // places in Sockets
	gens  map[*generation]bool
}

// state writes down everything. All slots stand still.
func (k *Keeper) state(out *reexec.Out) *Handover {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &writing{
		Handover: &Handover{
			Version: HandoverVersion, Last: k.last, Procs: k.procs, Paused: k.paused, Report: k.report,
			Orders: k.orders, Undone: k.undone, LogLevel: k.logLevel,
		},
		out: out, known: map[Socket]int{}, gens: map[*generation]bool{},
	}
	for _, err := range k.unproven {
		w.Unproven = append(w.Unproven, err.Error())
	}
	w.Default = w.sockets(k.sockets)
	for _, p := range k.history {
		w.History = append(w.History, w.program(p))
	}
	if k.current != nil {
		w.Current = k.current.number
		w.generation(k.current)
		w.Owed = k.owed > 0 && k.owed == k.current.settings.number
	}
	w.probation(k.watched)
	w.Trying = k.trying.state()
	for s := range k.slots {
		w.slot(s)
	}
	return w.Handover
}

func (w *writing) probation(p *probation) {
	if p == nil {
		return
	}
	w.Probation = &probationState{Generation: p.g.number, Until: p.until}
	w.generation(p.g)
	if p.before != nil {
		w.Probation.Before = p.before.number
		w.generation(p.before)
	}
}

func (t *trying) state() *tryingState {
	if t == nil {
		return nil
	}
	return &tryingState{Was: t.was, Before: t.before.state(), Deaths: t.trial.deaths, Err: marshal(t.trial.err), Until: t.until}
}

// sockets returns the places of sockets. Nil stays nil.
func (w *writing) sockets(all []Socket) (places []int) {
	for _, s := range all {
		place, ok := w.known[s]
		if !ok {
			fd := 0
			if s.File != nil {
				// Its owner may have closed it: then a way back to that version is closed, too.
				fd, _ = w.out.Add(s.File)
			}
			place = len(w.Sockets)
			w.known[s] = place
			w.Sockets = append(w.Sockets, socketState{s.Socket, fd})
		}
		places = append(places, place)
	}
	return places
}

func (w *writing) program(p Program) programState {
	places := w.sockets(p.Sockets)
	p.Sockets = nil
	if len(p.Settings) == 0 {
		p.Settings = nil // an empty one is no JSON
	}
	return programState{p, places}
}

func (w *writing) generation(g *generation) {
	if w.gens[g] {
		return
	}
	w.gens[g] = true
	p := g.nowLocked()
	p.Certificate = g.certificate // it may have been renewed
	t := trialState{Most: g.trial.most, Deaths: g.trial.deaths, Over: g.trial.over, Err: marshal(g.trial.err)}
	w.Generations = append(w.Generations, generationState{g.number, w.program(p), t})
}

func (w *writing) slot(s *slot) {
	st := slotState{
		Generation: s.gen.number, Trial: s.trial == s.gen.trial, Stopped: s.isStopped(), Status: s.status,
		All: slices.Clone(s.crashes.all), Early: slices.Clone(s.crashes.early), Failed: s.crashes.failed, Pause: s.still.pause,
	}
	for i, serving := range s.k.serving {
		if serving == s {
			st.Serving = i + 1
		}
	}
	if l := s.still.life; l != nil {
		st.Life = l.state(s.still.child)
	}
	w.Slots = append(w.Slots, st)
	w.generation(s.gen)
}

func (l *life) state(child process.State) *lifeState {
	st := &lifeState{
		Child: child, Silent: l.silent, Ready: l.ready, Late: l.late.at, Deadline: l.deadline.at,
		Told: l.end.told, Err: marshal(l.end.err), Hopeless: l.end.hopeless,
		Words: slices.Clone(l.words.tail), Headline: l.words.headline,
		Stdout: rest(l.stdout), Stderr: rest(l.stderr), Seats: l.seats.frozen.states(),
	}
	if l.conn != nil {
		st.Received = l.conn.Detach()
	}
	return st
}

// rest is what a writer holds back; see Options.Output.
func rest(w io.Writer) []byte {
	if r, ok := w.(interface{ Rest() []byte }); ok {
		return r.Rest()
	}
	return nil
}

func marshal(err error) []byte {
	if err == nil {
		return nil
	}
	return fault.Marshal(nil, err)
}

func unmarshal(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	err, _, bad := fault.Unmarshal(data)
	if bad != nil {
		return bad
	}
	return err
}

// check says whether a state can be read.
func (st *Handover) check() error {
	if st.Version != HandoverVersion {
		return fault.Text(fault.Invalid, "", "", fmt.Sprintf("its form is version %d, this program knows version %d", st.Version, HandoverVersion))
	}
	return nil
}
