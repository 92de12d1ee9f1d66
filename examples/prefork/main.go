// Prefork is the second listing of "Developing scalable services": four processes accept from one listening
// socket and serve files, and each line of the log says which of them it was.
//
//	go run ./examples/prefork
//	go run ./examples/prefork --listen :8080 --procs 2 --dir ./docs
//
// It prints
//
//	[Process-1]	starting server, process 4711
//	Serving at http://127.0.0.1:8000 using 4 worker processes
//	To exit press Ctrl-C
//	[Process-3]	"GET /README.md HTTP/1.1" 200 -
//
// This program is both: started by hand it opens the socket and starts itself four times; started so,
// it serves. Unlike in the listing a process that is killed is replaced, none lives on when the first one is
// killed, and kill -HUP replaces them all by new ones with no failed connection. become serve does the same for any
// program:
//
//	go run ./cmd/become serve ./examples/prefork --listen localhost:8000 --procs 4
package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/universal-server/become"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/static"
)

func main() {
	log.SetFlags(0)
	if service.Kept() || os.Getenv(become.EnvDescribe) != "" {
		serve()
	}
	listen := flag.String("listen", "localhost:8000", "where to listen")
	procs := flag.Int("procs", 4, "how many processes")
	dir := flag.String("dir", ".", "the folder whose files are served")
	flag.Parse()
	if err := os.Chdir(*dir); err != nil {
		log.Fatal(err)
	}
	if err := runPool(master.Spec{Listen: []string{*listen}, Procs: *procs}); err != nil {
		log.Fatal(err)
	}
}

// serve is what each process of the pool does. It does not return.
func serve() {
	files, err := static.New(".", &static.Options{Listing: true, AccessLog: os.Stderr})
	if err != nil {
		log.Fatal(err)
	}
	log.Println("starting server, process", os.Getpid())
	become.Serve(become.HTTP("prefork", files))
}

// runPool opens the socket and keeps processes that serve on it, until Ctrl-C.
func runPool(spec master.Spec) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var out notes
	m, err := master.New(&master.Options{Output: out.writer})
	if err != nil {
		return err
	}
	defer out.wg.Wait()
	defer m.Close(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	for first := true; ; first = false {
		if err := m.Deploy(context.Background(), spec, master.Program{Path: self, Env: os.Environ()}); err != nil {
			return err
		}
		if first {
			log.Printf("Serving at http://%s using %d worker processes\nTo exit press Ctrl-C", m.Status().Sockets[0].Addr, spec.Procs)
		}
		if <-signals != syscall.SIGHUP {
			return nil
		}
	}
}

// notes prints what processes print, line by line, behind their names.
type notes struct{ wg sync.WaitGroup }

func (n *notes) writer(id keeper.ID) (stdout, stderr io.WriteCloser) {
	r, w := io.Pipe()
	n.wg.Go(func() {
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				log.Printf("[Process-%d]\t%s", id.Number, line)
			}
			if err != nil {
				return
			}
		}
	})
	return nil, w
}
