package jet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/bustest"
	"github.com/universal-server/become/ground/bus/jet"
)

// A server of its own is this test binary, started again with serverEnv.
const serverEnv = "BECOME_TEST_NATS_SERVER"

func TestMain(m *testing.M) {
	if text := os.Getenv(serverEnv); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(bustest.Main(m))
}

// process is a nats-server in a process of its own.
type process struct {
	Name    string
	Dir     string
	Port    int
	Cluster int   // its port for routes, 0 when it is alone
	Routes  []int // those of all in the cluster

	cmd   *exec.Cmd
	stdin io.Closer
}

// serve is the life of a server process: it ends when its parent does.
func serve(text string) error {
	var p process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, JetStream: true, StoreDir: p.Dir, NoSigs: true, NoLog: true,
		JetStreamMaxMemory: 32 << 20, JetStreamMaxStore: 512 << 20,
	}
	if p.Cluster != 0 {
		opts.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: p.Cluster}
		for _, port := range p.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.SetLoggerV2(fatal{}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return fmt.Errorf("server %s is not ready", p.Name)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// fatal ends a server process that cannot start, as when its port is taken.
type fatal struct{}

func (fatal) Noticef(string, ...any) {}
func (fatal) Warnf(string, ...any)   {}
func (fatal) Errorf(string, ...any)  {}
func (fatal) Debugf(string, ...any)  {}
func (fatal) Tracef(string, ...any)  {}
func (fatal) Fatalf(format string, v ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", v...)
	os.Exit(1)
}

// start runs the server and returns when clients can connect.
func (p *process) start(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 5 { // its port may be another's for a moment
		if p.try(t) {
			return
		}
		<-tick.C
	}
	t.Fatalf("server %s does not start", p.Name)
}

func (p *process) try(t *testing.T) bool {
	t.Helper()
	config, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), serverEnv+"="+string(config))
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		p.kill()
		t.Logf("server %s said %q: %v", p.Name, line, err)
		return false
	}
	t.Cleanup(p.kill)
	return true
}

// kill ends the server as kill -9 does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.stdin.Close()
}

func (p *process) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", p.Port) }

// freePorts returns ports nobody listens at just now, outside the range that
// connections take theirs from.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := 12_000 + rand.IntN(18_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			defer l.Close()
			ports = append(ports, port)
		} else if tries > 1000 {
			t.Fatal(err)
		}
	}
	return ports
}

// startOne runs a server alone.
func startOne(t *testing.T) *process {
	t.Helper()
	p := &process{Name: "one", Dir: t.TempDir(), Port: freePorts(t, 1)[0]}
	p.start(t)
	return p
}

// cluster is servers that keep everything together.
type cluster []*process

func startCluster(t *testing.T, n int) cluster {
	t.Helper()
	c := newCluster(t, n)
	for tries := 0; ; tries++ { // another may have taken a port meanwhile
		began := 0
		for began < n && c[began].try(t) {
			began++
		}
		if began == n {
			break
		}
		for _, p := range c[:began] {
			p.kill()
		}
		if tries == 5 {
			t.Fatal("the cluster does not start")
		}
		c = newCluster(t, n)
	}
	b := c.connect(t, 0)
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for { // until they have chosen their leader
		_, err := b.KV(ctx, bus.Spec{Name: "ready"})
		if err == nil {
			return c
		}
		if ctx.Err() != nil {
			t.Fatal("the cluster does not get ready: ", err)
		}
	}
}

func newCluster(t *testing.T, n int) (c cluster) {
	ports, dir := freePorts(t, 2*n), t.TempDir()
	for i := range n {
		name := fmt.Sprint("s", i)
		c = append(c, &process{Name: name, Dir: filepath.Join(dir, name), Port: ports[i], Cluster: ports[n+i], Routes: ports[n:]})
	}
	return c
}

// connect opens a connection, at first to server i.
func (c cluster) connect(t *testing.T, i int) bus.Bus {
	t.Helper()
	var urls []string
	for j := range c {
		urls = append(urls, c[(i+j)%len(c)].url())
	}
	return connect(t, strings.Join(urls, ","), &jet.Options{Replicas: len(c)})
}

func connect(t *testing.T, url string, opts *jet.Options) bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := jet.Connect(ctx, url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}
