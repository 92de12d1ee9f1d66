package confine

import (
	"path/filepath"
	"strconv"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// State is what the program that replaces this one needs to know of a plan. It travels as JSON.
type State struct {
	Rules Rules `json:"rules"`
	ABI   int   `json:"abi,omitempty"`
	// Watched says that no control group counts the memory: see Plan.Watch.
	Watched bool `json:"watched,omitempty"`
	// Group is the process's control group, if it has one; Has are the controllers of the folder it
	// is in, and Lock is the file that holds that folder.
	Group string   `json:"group,omitempty"`
	Has   []string `json:"has,omitempty"`
	Lock  int      `json:"lock,omitempty"`
}

// Handover returns the plan's state, and lets the control groups stay locked; see package reexec. The plan stays
// as it is. Nil for none.
func (p *Plan) Handover(out *reexec.Out) (*State, error) {
	if p == nil {
		return nil, nil
	}
	s := &State{Rules: p.rules, ABI: p.abi, Watched: p.watched}
	if p.group == nil {
		return s, nil
	}
	mine.Lock()
	defer mine.Unlock()
	s.Group = p.group.dir
	for _, c := range controllers {
		if p.group.own.has[c] {
			s.Has = append(s.Has, c)
		}
	}
	var err error
	s.Lock, err = out.Add(p.group.own.lock)
	return s, err
}

// Adopt returns the plan of a state that the program before has left. It comes before the first NewPlan,
// else fault.Conflict; fault.NotFound when the file is missing.
func Adopt(s *State, in *reexec.In) (*Plan, error) {
	if s == nil {
		return nil, nil
	}
	p := &Plan{rules: s.Rules, abi: s.ABI, watched: s.Watched}
	if s.Group == "" {
		return p, nil
	}
	number, err := strconv.Atoi(filepath.Base(s.Group))
	if err != nil {
		return nil, fault.New(fault.Invalid, "adopt control group", s.Group, err)
	}
	mine.Lock()
	defer mine.Unlock()
	dir := filepath.Dir(s.Group)
	switch {
	case mine.own == nil:
		lock, err := in.File(s.Lock)
		if err != nil {
			return nil, err
		}
		mine.own = &own{dir: dir, lock: lock, has: map[string]bool{}}
		for _, c := range s.Has {
			mine.own.has[c] = true
		}
	case mine.own.dir != dir:
		return nil, fault.Text(fault.Conflict, "adopt control group", s.Group, "this program's are in "+mine.own.dir+" already")
	}
	mine.own.groups++
	mine.last = max(mine.last, number)
	p.group = &group{dir: s.Group, own: mine.own}
	return p, nil
}
