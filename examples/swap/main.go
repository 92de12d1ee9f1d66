// Swap replaces the code of a web service under load: clients ask all the time, half of them with a new connection
// for each request, while version 2 takes the place of version 1. No request fails.
//
//	go run ./examples/swap
//	go run ./examples/swap --listen localhost:8080
//
// It prints
//
//	serving: version 1 says hello world
//	swapped: version 2 says HELLO WORLD!
//	requests: 2764
//	failed = 0
//
// This program is three things: the master, which opens the socket and starts the processes of each version;
// those processes; and the clients. become serve is such a master for any program: kill -HUP builds it again
// and swaps.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/universal-server/become"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
)

// settings tell a version from another, as an edit would.
type settings struct {
	Version  int    `json:"version"`
	Greeting string `json:"greeting"`
}

func main() {
	log.SetFlags(0)
	if service.Kept() || os.Getenv(become.EnvDescribe) != "" {
		serve()
	}
	listen := flag.String("listen", "localhost:0", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		log.Fatal("swap: ", err)
	}
}

// serve is what each process of the service does. It does not return.
func serve() {
	var mine settings
	become.Serve(become.HTTP("swap", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "version %d says %s", mine.Version, mine.Greeting)
	}), become.ServiceOptions{Settings: &mine}))
}

// run swaps while there are clients.
func run(ctx context.Context, listen string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m, err := master.New(nil)
	if err != nil {
		return err
	}
	defer m.Close(context.WithoutCancel(ctx))
	deploy := func(settings string) error {
		spec := master.Spec{Listen: []string{listen}, Procs: 2, Settings: []byte(settings)}
		return m.Deploy(ctx, spec, master.Program{Path: self, Env: os.Environ()})
	}
	if err := deploy(`{"version": 1, "greeting": "hello world"}`); err != nil {
		return err
	}
	url := "http://" + m.Status().Sockets[0].Addr
	answer, err := ask(ctx, &http.Transport{DisableKeepAlives: true}, url)
	if err != nil {
		return err
	}
	fmt.Println("serving:", answer)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := newCrowd(ctx, url)
	c.warm.Wait()
	if err := deploy(`{"version": 2, "greeting": "HELLO WORLD!"}`); err != nil {
		stop()
		c.done.Wait()
		return err
	}
	return c.report()
}
