package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/master"
)

// foregroundVersion is the form of foregroundState.
const foregroundVersion = 1

// foregroundState is what become serve leaves to the program that replaces it.
type foregroundState struct {
	Dir    string           `json:"dir"`
	Used   []string         `json:"used"`           // copies
	Swap   bool             `json:"swap,omitempty"` // is wanted
	Seen   string           `json:"seen,omitempty"` // of the files that are watched
	Told   tellerState      `json:"told"`
	Master *master.Handover `json:"master"`
}

// renew replaces this program by the one that is installed now, or says why it goes on.
func (f *foreground) renew(ctx context.Context) {
	f.renewal = false
	f.manager.Reloading("")
	err := f.becomeNew(ctx)
	f.app.tellNotReplaced(err)
	f.manager.Ready(summary(f.master.Status()))
}

// becomeNew returns when the program is not replaced, with everything as it was.
func (f *foreground) becomeNew(ctx context.Context) error {
	if err := checkSuccessor(ctx, own()); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, handOverWithin)
	defer cancel()
	var out reexec.Out
	m, err := f.master.Handover(waiting, &out)
	if err != nil {
		return err
	}
	defer f.master.TakeBack()
	st := foregroundState{Dir: f.dir, Used: f.copies.used, Told: f.teller.state(), Master: m, Seen: f.watcher.stop()}
	// Whatever the watcher was about to tell is wanted all the same.
	select {
	case _, told := <-f.watcher.changed():
		f.wanted = f.wanted || told
	default:
	}
	f.wanted = f.requests.quiet() || f.wanted
	st.Swap = f.wanted
	f.manager.Return()
	if len(f.signals) > 0 {
		err = fault.Text(fault.Canceled, "replace become by", own(), "a signal wants it to end") // the next program would not know
	} else {
		err = reexec.Exec(own(), os.Args, st, &out)
	}
	f.manager.Retake()
	f.requests.listen()
	if e := f.watch(ctx, st.Seen); e != nil {
		f.tellUnwatched(e)
	}
	return err
}

func (f *foreground) tellUnwatched(err error) {
	f.watcher = nil
	fmt.Fprintf(f.app.err, "become: its files are not watched any more: %s\n", printable(err.Error(), true))
}

// adopt goes on with what the program before has left, if there was one.
func (f *foreground) adopt(ctx context.Context) (bool, error) {
	in, err := reexec.Received()
	if in == nil || err != nil {
		return false, err
	}
	defer in.Done()
	var st foregroundState
	if err := in.State(&st); err != nil {
		return false, err
	}
	f.dir = st.Dir
	if err := f.settle(st.Master.OnGiven()); err != nil {
		return false, err
	}
	f.copies.used = st.Used
	f.teller.recall(st.Told)
	if f.master, err = master.Adopt(st.Master, in, f.options()); err != nil {
		return false, err
	}
	if err := f.watch(ctx, st.Seen); err != nil {
		f.tellUnwatched(err)
	}
	if st.Swap {
		f.requests.c <- syscall.SIGHUP
	}
	return true, nil
}

func (f *foreground) tellReplaced() {
	fmt.Fprintf(f.app.err, "become: this is become %s now; its processes serve on\n", version())
	f.manager.Ready(summary(f.master.Status()))
}
