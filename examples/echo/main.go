// Echo is the universal server's second boss: two workers turn into echo
// servers on ports 5001 and 5002. Each serves until a client sends QUIT, then returns
// its port, and the boss prints both.
//
//	go run ./examples/echo
//	go run ./cmd/become run ./examples/echo
//	go run ./cmd/become run ./examples/echo 6001 6002 6003
//
// It prints "serving on 127.0.0.1:5001" when the first server answers, and the like for the other; in a
// second terminal
//
//	echo hello | nc 127.0.0.1 5001
//	echo QUIT | nc 127.0.0.1 5001; echo QUIT | nc 127.0.0.1 5002
//
// shows hello, then QUIT twice, and the boss prints 5001, 5002 and ends. Port 0 is any free one.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become"
)

// serve echoes up to 1024 bytes to each client, until one sends QUIT.
var serve = become.Func("serve", func(ctx context.Context, port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, become.GiveUp(err)
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	port = l.Addr().(*net.TCPAddr).Port
	if err := become.Report(ctx, port); err != nil {
		return 0, err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return 0, fmt.Errorf("stopped serving: %w", err)
		}
		if echo(client) == "QUIT" {
			return port, nil
		}
	}
}, become.Options{Doc: "serves echo on a port until QUIT, returns the port", Tries: 1})

func echo(client net.Conn) string {
	defer client.Close()
	client.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 1024)
	n, err := client.Read(buf)
	if err != nil {
		return ""
	}
	client.Write(buf[:n])
	return strings.TrimSpace(string(buf[:n]))
}

func main() { become.Main(boss) }

func boss(ctx context.Context, fleet *become.Fleet) error {
	ports := []int{5001, 5002}
	if len(os.Args) > 1 {
		ports = nil
		for _, arg := range os.Args[1:] {
			port, err := strconv.Atoi(arg)
			if err != nil {
				return fmt.Errorf("%q is not a port", arg)
			}
			ports = append(ports, port)
		}
	}
	var servers []*become.Future[int]
	for _, port := range ports {
		servers = append(servers, serve.Go(ctx, fleet, port, become.CallOptions{OnProgress: func(p become.Progress) {
			var bound int
			if p.Decode(&bound) == nil {
				fmt.Printf("serving on 127.0.0.1:%d\n", bound)
			}
		}}))
	}
	for server := range become.AsDone(ctx, servers...) {
		port, err := server.Wait(ctx)
		if err != nil {
			return err
		}
		fmt.Println(port)
	}
	return ctx.Err()
}
