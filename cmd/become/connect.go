package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/node"
)

// need says what a command wants of its fleet.
type need int

const (
	// running: a fleet that is there already.
	running need = iota
	// kept: the home's fleet, with what is stored in it, started if need be.
	kept
	// lasting: any fleet that lasts as long as this command.
	lasting
)

// session is a command's connection, with the node that it may have started.
type session struct {
	*fleet.Fleet
	url    string
	keyRef string // the key's file, or the key: what BECOME_KEY is set to
	node   *node.Node
	temp   string // a home to be removed
	found  string // the home whose node it is
}

// connect finds the fleet the flags name, else the local node's, else starts
// a node for as long as the command runs, if need allows it.
func (a *app) connect(ctx context.Context, n need) (*session, error) {
	return a.connectWith(ctx, n, 0)
}

func (a *app) connectWith(ctx context.Context, n need, workers int) (*session, error) {
	dir := a.homeDir()
	if url := a.givenURL(); url != "" {
		return a.join(ctx, url, dir)
	}
	// A node may come or go while we look for it.
	ended := false
	for try := 0; ; try++ {
		contact, ok, err := home.Find(dir)
		if err != nil {
			return nil, err
		}
		var s *session
		switch {
		case ok && (!contact.Embedded || n != lasting):
			if s, err = a.joinFound(ctx, contact.URL, dir); err != nil {
				ended = errors.Is(err, errGone) && !contact.Embedded
			}
		case ok:
			return a.embedAside(ctx, workers)
		case ended:
			return nil, fault.New(fault.Lost, "find fleet", "", errGone)
		case n == running:
			return nil, noNode(dir)
		default:
			s, err = a.embed(ctx, dir, workers)
		}
		if err == nil {
			return s, nil
		}
		if !passing(err) || try == 100 || ctx.Err() != nil {
			if fault.KindOf(err) == fault.Busy && n == lasting {
				return a.embedAside(ctx, workers)
			}
			return nil, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// givenURL is the address of the bus that the user gave; empty if none was given.
func (a *app) givenURL() string {
	if a.url == "" && !a.homeSet {
		return os.Getenv(fleet.EnvURL)
	}
	return a.url
}

func noNode(dir string) error {
	return fault.Text(fault.NotFound, "find fleet", "", "no node is running in "+dir).WithHint("start one with: become up")
}

// passing reports whether an error may be one of a node that is just starting or stopping.
func passing(err error) bool {
	k := fault.KindOf(err)
	return k == fault.Busy || k == fault.Lost
}

func (a *app) homeDir() string {
	dir := a.home
	if dir == "" {
		dir = home.Default()
	}
	if full, err := filepath.Abs(dir); err == nil {
		return full
	}
	return dir
}

// keyFor returns the key to use with the home dir.
func (a *app) keyFor(dir string) string {
	if a.key != "" {
		return a.key
	}
	if k := os.Getenv(fleet.EnvKey); k != "" && !a.homeSet {
		return k
	}
	return filepath.Join(dir, "key")
}

func (a *app) join(ctx context.Context, url, dir string) (*session, error) {
	s := &session{url: url, keyRef: a.keyFor(dir)}
	var err error
	if s.Fleet, err = a.dial(ctx, url, s.keyRef, dir); err != nil {
		if _, e := os.Stat(s.keyRef); fault.KindOf(err) == fault.NotFound && s.keyRef == filepath.Join(dir, "key") && errors.Is(e, os.ErrNotExist) {
			return nil, fault.Text(fault.NotFound, "read key", s.keyRef, "the node was given another one").
				WithHint("give the same one with --key FILE, or in BECOME_KEY")
		}
		return nil, err
	}
	return s, nil
}

// joinFound joins the node that was found in a home, and looks meanwhile whether it is still there: a node that is gone answers
// nothing, for long.
func (a *app) joinFound(ctx context.Context, url, dir string) (*session, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{url: url, found: dir}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if !s.stays() {
				cancel(errGone)
				return
			}
		}
	})
	joined, err := a.join(ctx, url, dir)
	gone := err != nil && errors.Is(context.Cause(ctx), errGone)
	cancel(nil)
	wg.Wait()
	if gone {
		return nil, fault.New(fault.Lost, "find fleet", "", errGone)
	}
	if err == nil {
		joined.found = dir
	}
	return joined, err
}

func (a *app) dial(ctx context.Context, url, key, dir string) (*fleet.Fleet, error) {
	return fleet.Connect(ctx, &fleet.Options{URL: url, Key: key, Home: dir, Name: "become command", Logger: a.logger})
}

// embed starts a node in dir for this command.
func (a *app) embed(ctx context.Context, dir string, workers int) (*session, error) {
	n, err := node.Start(ctx, node.Options{Home: dir, Embedded: true, Workers: workers, Key: a.key, Version: version(), Logger: a.logger})
	if err != nil {
		return nil, err
	}
	s := &session{url: n.URL(), keyRef: filepath.Join(dir, "key"), node: n}
	if a.key != "" {
		s.keyRef = a.key
	}
	a.logger.Info("started a node for this command", "home", dir, "url", s.url)
	if s.Fleet, err = a.dial(ctx, s.url, n.KeyText(), dir); err != nil {
		n.Kill()
		return nil, err
	}
	return s, nil
}

// embedAside starts a node in a home that is gone afterwards: the usual one is
// in use by another command.
func (a *app) embedAside(ctx context.Context, workers int) (*session, error) {
	dir, err := os.MkdirTemp("", "become-home-")
	if err != nil {
		return nil, err
	}
	s, err := a.embed(ctx, dir, workers)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.temp = dir
	return s, nil
}

// known is how many nodes there are, if that is known; else 0.
func (s *session) known() int {
	if s.node != nil {
		return 1
	}
	return 0
}

// leaveWithin is how long leaving a fleet may take when nobody wants to wait. Why
// not wait? A fleet that is away answers nothing.
const leaveWithin = 300 * time.Millisecond

// close leaves the fleet. A node of ours drains until ctx ends; if that has
// ended, nothing is waited for.
func (s *session) close(ctx context.Context) {
	before(ctx, func() { s.Fleet.Close() })
	if s.node != nil && !before(ctx, func() { s.node.Stop() }) {
		s.node.Kill()
	}
	if s.temp != "" {
		os.RemoveAll(s.temp)
	}
}

// before runs f and waits for its end, but when ctx ends not much longer. It reports
// whether f has ended.
func before(ctx context.Context, f func()) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return true
	case <-time.After(leaveWithin):
		return false
	}
}

// with runs f with a connection. The context that f gets ends with ctx, or when the fleet is gone.
func (a *app) with(ctx context.Context, n need, f func(context.Context, *session) error) error {
	s, err := a.connect(ctx, n)
	if err != nil {
		return a.why(ctx, err)
	}
	held, stop := a.hold(ctx, s)
	defer stop()
	err = a.why(held, f(held, s))
	if fault.KindOf(err) == fault.Lost && s.found != "" && !s.stays() {
		err = gone(err)
	}
	s.close(held)
	return err
}

// why replaces the error of something that --timeout cut short by one that
// says so.
func (a *app) why(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	// What has the same deadline may notice it a moment earlier.
	if late, ok := ctx.Deadline(); ok && time.Until(late) < 20*time.Millisecond {
		<-ctx.Done()
	}
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	switch fault.KindOf(err) {
	case fault.Canceled, fault.Deadline, fault.Lost: // a connection is lost, too, when nobody waits for it
		if e, ok := errors.AsType[*fault.Error](err); ok {
			return fault.New(fault.KindOf(cause), e.Op, e.ID, cause)
		}
		return cause
	}
	return err
}
