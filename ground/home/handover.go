package home

import (
	"os"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// State is what the program that replaces this one needs to have the home in its place. It travels as JSON.
type State struct {
	Dir   string `json:"dir"`
	Run   string `json:"run"`
	Away  bool   `json:"away,omitempty"`
	Lock  int    `json:"lock"` // files
	Alive int    `json:"alive"`
}

// Handover keeps the home locked for the program that replaces this one, see package reexec, with the contact and what is
// in Run. Without Exec nothing has changed. fault.Lost after Close.
func (h *Home) Handover(out *reexec.Out) (s State, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lock == nil {
		return s, fault.Text(fault.Lost, "hand over home", h.dir, "home is closed")
	}
	s = State{Dir: h.dir, Run: h.run, Away: h.away}
	if s.Lock, err = out.Add(h.lock); err == nil {
		s.Alive, err = out.Add(h.alive)
	}
	return s, err
}

// Adopt has the home that the program before has handed over. fault.NotFound when a file is missing, and the errors of
// Open.
func Adopt(s State, in *reexec.In) (*Home, error) {
	h := &Home{dir: s.Dir, run: s.Run, away: s.Away}
	for fd, f := range map[int]**os.File{s.Lock: &h.lock, s.Alive: &h.alive} {
		var err error
		if *f, err = in.File(fd); err != nil {
			return nil, failed(s.Dir, err)
		}
	}
	err := checkFolder(s.Dir)
	if err == nil {
		err = h.readID()
	}
	if err != nil {
		h.unlock()
		return nil, failed(s.Dir, err)
	}
	return h, nil
}
