package main

import (
	"context"
	"fmt"
	"os"

	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/node"
)

// upVersion is the form of upState.
const upVersion = 1

// upState is what become up leaves to the program that replaces it.
type upState struct {
	Node   *node.Handover `json:"node"`
	Path   string         `json:"path"`             // where the next version will be
	Stop   bool           `json:"stop,omitempty"`   // it was told to, too late
	Failed string         `json:"failed,omitempty"` // why the new version is the old one
}

// upNode is a node in this terminal. It belongs to one goroutine.
type upNode struct {
	*node.Node
	app      *app
	manager  *notify.Notifier
	requests *requests
	signals  <-chan os.Signal
	path     string // of the installed version
}

// adopt lets the options go on with what the program before has left, if there was one.
func (u *upNode) adopt(o *node.Options) (left upState, err error) {
	u.path = own()
	in, err := reexec.Received()
	if in == nil || err != nil {
		return left, err
	}
	if err := in.State(&left); err != nil {
		in.Done()
		return left, err
	}
	o.Adopt, o.Received, u.path = left.Node, in, left.Path
	return left, nil
}

func (u *upNode) tellUp(o node.Options, left upState) {
	a := u.app
	switch {
	case left.Failed != "":
		fmt.Fprintf(a.err, "become: nothing is replaced: %s\n", printable(left.Failed, true))
	case left.Node != nil:
		fmt.Fprintf(a.err, "become: this is become %s now; its services serve on\n", version())
	case a.json:
		a.printLine(map[string]any{"node": u.ID(), "url": u.URL(), "home": o.Home, "pid": os.Getpid(), "version": version()})
	default:
		fmt.Fprintf(a.out, "become: node %s is up at %s, home %s\n", u.ID(), u.URL(), o.Home)
	}
	u.manager.Ready("node " + u.ID() + " at " + u.URL())
}

// renew replaces this program by the one that is installed now, or says why it goes on: to whoever asked, too.
// It is told if it was told to stop meanwhile. An error says that there is no node any more.
func (u *upNode) renew(ctx context.Context, ask *node.Ask) (stopped bool, err error) {
	u.manager.Reloading("")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var out reexec.Out
	type result struct {
		left *node.Handover
		err  error
	}
	done := make(chan result, 1)
	go func() { // ends soon after ctx, and is waited for
		if err := checkSuccessor(ctx, u.path); err != nil {
			done <- result{nil, err}
			return
		}
		left, err := u.Handover(ctx, handOverWithin, &out)
		done <- result{left, err}
	}()
	var came result
	select {
	case came = <-done:
	case <-u.signals:
		stopped = true
		cancel()
		came = <-done
	}
	if came.err == nil {
		return false, u.exec(upState{Node: came.left, Path: u.path, Stop: stopped}, &out)
	}
	if !stopped {
		u.app.tellNotReplaced(came.err)
		if ask != nil {
			ask.Refuse(came.err)
		}
		u.manager.Ready("node " + u.ID() + " at " + u.URL())
	}
	return stopped, nil
}

// exec returns an error when not even the same program can go on.
func (u *upNode) exec(st upState, out *reexec.Out) error {
	u.requests.quiet() // what was asked for is done
	u.manager.Return()
	err := reexec.Exec(u.path, os.Args, st, out)
	st.Failed = err.Error()
	same := "/proc/self/exe" // Linux: also when its file is gone
	if _, err := os.Stat(same); err != nil {
		same = u.path
	}
	return reexec.Exec(same, os.Args, st, out)
}
