//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

func (p *Process) handover(ctx context.Context, out *reexec.Out) (State, error) {
	if !p.onMain {
		return State{}, fault.Text(fault.Invalid, "", "", "the program does not begin with reexec.Main")
	}
	h, err := p.hold()
	if err != nil {
		return State{}, err
	}
	select {
	case <-h.still:
	case <-ctx.Done():
		p.takeBack()
		return State{}, fault.New(fault.KindOf(ctx.Err()), "wait until its output is written", "", context.Cause(ctx))
	}
	s, err := p.state(out)
	if err != nil {
		p.takeBack()
	}
	return s, err
}

func (p *Process) hold() (*hold, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.isReaped:
		return nil, fault.Text(fault.Lost, "", "", "it has ended")
	case p.held != nil:
		return nil, fault.Text(fault.Conflict, "", "", "it is handed over already")
	}
	p.held = &hold{still: make(chan struct{}), over: make(chan struct{})}
	if p.reading == 0 {
		close(p.held.still)
	}
	p.deadlineLocked(time.Unix(1, 0))
	return p.held, nil
}

func (p *Process) state(out *reexec.Out) (s State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s = State{PID: p.pid, Name: p.name}
	if c, ok := p.control.(syscall.Conn); ok {
		if fd, err := out.Add(c); err == nil { // else its owner has closed it
			s.Control = fd
		}
	}
	for i, fd := range []*int{&s.Stdout, &s.Stderr} {
		if r := p.pipes[i]; r != nil && err == nil {
			*fd, err = out.Add(r)
		}
	}
	if err == nil {
		s.Confined, err = p.plan.Handover(out)
	}
	return s, err
}

func (p *Process) takeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held; h != nil {
		p.held = nil
		p.reading += h.paused
		p.deadlineLocked(time.Time{})
		close(h.over)
	}
}

// pausePump is called by a pump whose read has failed. It is false when there is nothing
// more to read; else it returns when the pump may go on.
func (p *Process) pausePump(i int, err error) bool {
	p.mu.Lock()
	h, goOn := p.held, errors.Is(err, os.ErrDeadlineExceeded) && !p.isReaped
	if !goOn {
		p.pipes[i] = nil
	}
	if !goOn || h != nil {
		p.reading--
	}
	if h != nil {
		if goOn {
			h.paused++
		}
		if p.reading == 0 {
			close(h.still)
		}
	}
	p.mu.Unlock()
	if goOn && h != nil {
		<-h.over
	}
	return goOn
}

// lockUnheld locks mu while the child is not handed over.
func (p *Process) lockUnheld() {
	for {
		p.mu.Lock()
		h := p.held
		if h == nil {
			return
		}
		p.mu.Unlock()
		<-h.over
	}
}

func adopt(s State, in *reexec.In, writers [2]io.Writer) (*Process, error) {
	// Whoever is no child must not be signalled, and cannot be waited for.
	if s.PID < 2 || !isChild(s.PID) {
		return nil, fault.Text(fault.Lost, "", "", "there is no child "+strconv.Itoa(s.PID))
	}
	var files [3]*os.File // control, stdout, stderr
	for i, fd := range []int{s.Control, s.Stdout, s.Stderr} {
		if fd == 0 {
			continue
		}
		f, err := in.File(fd)
		if err != nil {
			return nil, err
		}
		files[i] = f
	}
	p := newProcess(s.Name)
	p.pid, p.onMain = s.PID, true
	var err error
	if p.plan, err = confine.Adopt(s.Confined, in); err != nil {
		return nil, err
	}
	if files[0] != nil {
		if p.control, err = connOf(files[0]); err != nil {
			return nil, err
		}
	}
	became := make(chan struct{})
	close(became)
	p.run([2]*os.File(files[1:]), writers, became)
	return p, nil
}
