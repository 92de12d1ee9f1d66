package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/coder/websocket"
)

const (
	bareEnv   = "BENCH_BARE"
	folderEnv = "BENCH_FOLDER"
)

// The least that Go needs: one process that accepts by itself, without limits, deadlines, draining or a
// keeper. They are the floor under what we add.

// BareHTTP is net/http with the handler of examples/hello.
func BareHTTP(ctx context.Context, dir string) (*Peer, error) {
	return bare(ctx, dir, "plain net/http", "http", "")
}

// BareJSON is net/http with the Multiply of examples/crunch written by hand: the query is parsed, the numbers checked, the
// answer written by encoding/json.
func BareJSON(ctx context.Context, dir string) (*Peer, error) {
	return bare(ctx, dir, "the same by hand, net/http and encoding/json", "json", "")
}

// BareEcho copies what a connection sends back to it, through a buffer of 4 KiB.
func BareEcho(ctx context.Context, dir string) (*Peer, error) {
	return bare(ctx, dir, "a bare Go echo", "echo", "")
}

// BareCAS answers lines of two numbers from one register.
func BareCAS(ctx context.Context, dir string) (*Peer, error) {
	return bare(ctx, dir, "a bare Go line server", "cas", "")
}

// BareWebSocket sends each message back, with the library that our sessions are made with.
func BareWebSocket(ctx context.Context, dir string) (*Peer, error) {
	return bare(ctx, dir, "a bare echo on the same library", "websocket", "")
}

// BareFiles is http.FileServer over a folder.
func BareFiles(folder string) func(context.Context, string) (*Peer, error) {
	return func(ctx context.Context, dir string) (*Peer, error) {
		return bare(ctx, dir, "Go's FileServer", "files", folder)
	}
}

func bare(ctx context.Context, dir, name, kind, folder string) (*Peer, error) {
	p, err := newPeer(name, dir)
	if err != nil {
		return nil, err
	}
	if err = p.role("bare", bareEnv+"="+kind, folderEnv+"="+folder); err == nil {
		p.Addr, err = p.asked.Line(ctx)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// bareServer serves until its input ends.
func bareServer(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		switch os.Getenv(bareEnv) {
		case "http":
			http.Serve(l, http.HandlerFunc(hello))
		case "json":
			http.Serve(l, http.HandlerFunc(multiply))
		case "files":
			http.Serve(l, http.FileServer(http.Dir(os.Getenv(folderEnv))))
		case "echo":
			accept(l, echo)
		case "cas":
			accept(l, new(register).serve)
		case "websocket":
			http.Serve(l, http.HandlerFunc(echoMessages))
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// hello is what examples/hello does.
func hello(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[1:]
	if name == "" {
		name = "world"
	}
	fmt.Fprintf(w, "hello %s\n", name)
}

// multiply is what examples/crunch does.
func multiply(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/Multiply" {
		http.NotFound(w, r)
		return
	}
	query := r.URL.Query()
	x, err := strconv.ParseFloat(query.Get("x"), 64)
	y, err2 := strconv.ParseFloat(query.Get("y"), 64)
	if err = errors.Join(err, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(map[string]any{"value": []any{"crunch.Output", struct {
		Value float64 `json:"value"`
	}{x * y}, []any{}}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

func echo(c net.Conn) {
	b := make([]byte, 4<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func echoMessages(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

type register struct{ atomic.Uint64 }

var errNumbers = errors.New("no two numbers")

// serve answers all lines of one read with one write.
func (g *register) serve(c net.Conn) {
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if present, err := g.swap(line); err != nil {
			w.WriteString("Bad Syntax")
		} else {
			w.Write(strconv.AppendUint(w.AvailableBuffer(), present, 10))
		}
		w.WriteString("\n\r")
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}

func (g *register) swap(line []byte) (uint64, error) {
	first, second, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	before, err := strconv.ParseUint(string(first), 10, 64)
	if err != nil {
		return 0, errNumbers
	}
	after, err := strconv.ParseUint(string(second), 10, 64)
	if err != nil {
		return 0, errNumbers
	}
	for {
		present := g.Load()
		if present != before || g.CompareAndSwap(before, after) {
			return present, nil
		}
	}
}
