package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/cmd/become/sources"
	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/stock/cas"
)

// foreground is a service in this terminal. It belongs to one goroutine; the swap under way has its own.
type foreground struct {
	app *app
	serving
	master   *master.Master
	dir      string // for copies of the program
	manager  *notify.Notifier
	teller   teller
	requests *requests
	signals  <-chan os.Signal
	watcher  *watching // nil: nobody watches

	wanted   bool       // to swap once more
	renewal  bool       // it shall be replaced
	swapped  chan error // has what came of the swap under way; nil if there is none
	stopSwap context.CancelFunc
	shown    *cert.Pair // before the swap
}

// begin starts the service.
func (f *foreground) begin(ctx context.Context) (err error) {
	if f.dir, err = os.MkdirTemp("", "become-serve-"); err != nil {
		return err
	}
	o := f.options()
	if o.Activated, err = socket.Activated(); err != nil {
		return err
	}
	if err := f.settle(len(o.Activated) > 0); err != nil {
		return err
	}
	if f.master, err = master.New(o); err != nil {
		return err
	}
	if err = f.watch(ctx, ""); err == nil {
		err = f.swap(ctx)
	}
	if err != nil {
		f.watcher.stop()
		f.master.Close(ctx)
	}
	return err
}

func (f *foreground) options() *master.Options {
	out := &prefixed{app: f.app}
	return &master.Options{Home: f.app.homeDir(), Logger: f.app.logger, Output: out.writers}
}

// settle fills in what depends on the folder, and on sockets that were open already.
func (f *foreground) settle(given bool) (err error) {
	f.copies = &copies{dir: f.dir}
	if given && !f.listens {
		f.spec.Listen = nil
	}
	if f.what == cas.Name {
		// All processes, of all versions, share one register: in a file, so that it needs nobody who owns it.
		f.spec.Settings, err = cas.Share(f.spec.Settings, "file:"+filepath.Join(f.dir, "register"), "")
		if l := f.spec.Landlock; l != nil { // nobody else knows where that is
			l.ReadWrite = append(l.ReadWrite, f.dir)
		}
	}
	return err
}

// watching is who looks at the program's files. Nil does not.
type watching struct {
	*sources.Watcher
	end context.CancelFunc
}

func (w *watching) changed() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.Changed()
}

// stop returns what was seen last.
func (w *watching) stop() (seen string) {
	if w == nil {
		return ""
	}
	w.end()
	return w.Wait()
}

// watch begins to look at the program's files, if that is wanted. Those that are not as they were seen have changed;
// nothing was seen yet if that is empty.
func (f *foreground) watch(ctx context.Context, seen string) error {
	if !f.serving.watch {
		return nil
	}
	set, err := sourcesOf(ctx, f.what)
	if err != nil {
		return err
	}
	if seen == "" {
		seen = set.Now()
	}
	ctx, cancel := context.WithCancel(ctx)
	f.watcher = &watching{sources.Watch(ctx, set, seen, 0), cancel}
	return nil
}

// sourcesOf is what a PATH is built from.
func sourcesOf(ctx context.Context, what string) (sources.Set, error) {
	if info, err := os.Stat(what); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(what, ".go") {
		full, err := filepath.Abs(what)
		return sources.File(full), err
	}
	pkg, dir, err := place(what)
	if err != nil {
		return sources.Set{}, err
	}
	return sources.Of(ctx, pkg, dir)
}

// tellServing says what serves where, once.
func (f *foreground) tellServing() {
	a, st := f.app, f.master.Status()
	for _, s := range st.Sockets {
		fields := map[string]any{"serving": f.what, "network": s.Network, "address": s.Addr, "tls": s.TLS, "processes": f.spec.Procs}
		text := fmt.Sprintf("become: serving %s at %s, processes: %d", f.what, s, f.spec.Procs)
		if s.Route != "" {
			fields["route"], text = s.Route, text+", route: "+s.Route
		}
		a.done(fields, text)
	}
	if len(st.Held) > 0 && f.spec.Confined() {
		fmt.Fprintf(a.err, "become: each process is held to %s\n", strings.Join(st.Held, ", "))
	}
	a.tellCertificate(f.master.Certificate(), nil)
	f.manager.Ready(summary(st))
}

// summary is a status in a line.
func summary(st keeper.Status) string {
	ready := 0
	for _, p := range st.Processes {
		if p.State == keeper.Ready && p.Generation == st.Generation {
			ready++
		}
	}
	var at []string
	for _, s := range st.Sockets {
		at = append(at, s.String())
	}
	return fmt.Sprintf("version %d at %s, processes: %d of %d", st.Generation, strings.Join(at, " "), ready, st.Procs)
}

// untilStopped swaps at each SIGHUP or edit, lets itself be replaced, and tells what happens meanwhile, until another
// signal comes.
func (f *foreground) untilStopped(ctx context.Context) {
	living, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		// Whoever is stuck with the status locked lives no more.
		f.manager.Watch(living, func() bool { f.master.Status(); return true })
	})
	defer wg.Wait()
	defer end()
	defer f.endSwap()
	for {
		changed := f.master.Changed()
		st := f.master.Status()
		f.teller.look(st, f.swapped != nil)
		f.manager.Status(summary(st))
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-f.signals:
			return
		case what := <-f.requests.c:
			f.wanted = f.wanted || what != upgradeSignal
			f.renewal = f.renewal || what == upgradeSignal
		case _, told := <-f.watcher.changed():
			if told { // or nobody looks any more: it ends
				fmt.Fprintln(f.app.err, "become: files have changed")
				f.wanted = true
			}
		case err := <-f.swapped:
			f.finishSwap(err)
		}
		if f.renewal && f.swapped == nil {
			f.renew(ctx)
		}
		if f.wanted && f.swapped == nil {
			f.beginSwap(ctx)
		}
	}
}

// beginSwap swaps meanwhile: a signal ends it at once.
func (f *foreground) beginSwap(ctx context.Context) {
	f.manager.Reloading("")
	f.wanted, f.shown, f.swapped = false, f.master.Certificate(), make(chan error, 1)
	ctx, f.stopSwap = context.WithCancel(ctx)
	done := f.swapped
	go func() { done <- f.swap(ctx) }() // endSwap or finishSwap waits for it
}

func (f *foreground) finishSwap(err error) {
	f.stopSwap()
	f.swapped = nil
	st := f.master.Status()
	f.teller.swapped(st, err)
	if err != nil {
		fmt.Fprintf(f.app.err, "become: nothing is swapped: %s\n", printable(err.Error(), true))
	} else {
		fmt.Fprintln(f.app.err, "become: swapped")
		f.app.tellCertificate(f.master.Certificate(), f.shown)
	}
	f.manager.Ready(summary(st))
}

// endSwap ends a swap under way, and says that the service stops.
func (f *foreground) endSwap() {
	f.manager.Stopping(time.Duration(f.spec.DrainMS) * time.Millisecond)
	if f.swapped != nil {
		f.stopSwap()
		<-f.swapped
	}
}

// swap deploys the program as it is now.
func (f *foreground) swap(ctx context.Context) error {
	program, err := f.app.servingProgram(ctx, f.serving)
	if err != nil {
		return err
	}
	before := f.master.Status().Path
	err = f.master.Deploy(ctx, f.spec, program)
	f.copies.keep(before, program.Path, err == nil)
	return err
}
