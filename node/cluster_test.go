//go:build unix

package node_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/universal-server/become"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/control"
)

func init() { roles["nats"] = natsRole }

// natsRole is a plain nats-server: DIR PORT [NAME CLUSTERPORT ROUTES].
func natsRole(args []string) error {
	o := &server.Options{Host: "127.0.0.1", JetStream: true, StoreDir: args[0], NoSigs: true}
	fmt.Sscan(args[1], &o.Port)
	if len(args) > 2 {
		o.ServerName = args[2]
		o.Cluster = server.ClusterOpts{Name: "fleet", Host: "127.0.0.1"}
		fmt.Sscan(args[3], &o.Cluster.Port)
		o.Routes = server.RoutesFromStr(args[4])
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return fmt.Errorf("not ready")
	}
	fmt.Println(s.ClientURL())
	s.WaitForShutdown()
	return nil
}

// freePorts returns ports that were free a moment ago.
func freePorts(t *testing.T, n int) (out []int) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out
}

// The bus can be a server of its own: nothing but the address changes.
func TestNode_OnAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	_, url := other(t, "nats", t.TempDir(), fmt.Sprint(freePorts(t, 1)[0]))
	_, f := start(t, node.Options{URL: url, Workers: 1})
	works(t, f)
}

// A worker whose bus is away at its birth joins when it is back: else it would never run a job.
func TestNode_AWorkerWaitsForItsBus(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), fmt.Sprint(freePorts(t, 1)[0])
	start := control.Start{Worker: "w", Bus: "nats://127.0.0.1:" + port}
	joined := make(chan error, 1)
	ctx := soon(t)
	go func() {
		f, err := fleet.ConnectChild(ctx, start, nil)
		if err == nil {
			f.Close()
		}
		joined <- err
	}()
	bus, _ := other(t, "nats", dir, port)
	if err := <-joined; err != nil {
		t.Errorf("it gave up: %v", err)
	}
	kill(t, bus)
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := fleet.ConnectChild(short, start, nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("until its context ends: %v, want lost", err)
	}
}

// A cluster keeps what it acknowledged when one of its servers is killed.
func TestNode_OnAClusterThatLosesAServer(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 6)
	var routes, urls []string
	for _, p := range ports[3:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	var servers []*exec.Cmd
	for i := range 3 {
		cmd, url := other(t, "nats", t.TempDir(), fmt.Sprint(ports[i]), fmt.Sprintf("n%d", i), fmt.Sprint(ports[3+i]), strings.Join(routes, ","))
		servers, urls = append(servers, cmd), append(urls, url)
	}
	ctx := soon(t)
	var n *node.Node
	k := key.New().String()
	eventually(t, ctx, "the cluster has a leader and takes a node", func() (ok bool) {
		var err error
		n, err = node.Start(ctx, node.Options{Home: t.TempDir(), URL: strings.Join(urls, ","), Key: k, Replicas: 3, Workers: 1, Slots: 2})
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
	t.Cleanup(func() { n.Stop() })
	f, err := become.Connect(ctx, become.Config{URL: n.URL(), Key: k})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	works(t, f)
	jobs, err := submitAll(ctx, f, 50, 20)
	if err != nil {
		t.Fatal(err)
	}
	kill(t, servers[0])
	for _, j := range jobs {
		if _, err := j.Wait(ctx); err != nil {
			t.Fatalf("job %s: %v", j.ID(), err)
		}
	}
	works(t, f)
}

// works makes a call, a job and a large value.
func works(t *testing.T, f *become.Fleet) {
	t.Helper()
	ctx := soon(t)
	if v, err := square.Call(ctx, f, 12); v != 144 || err != nil {
		t.Fatalf("call: %d, %v", v, err)
	}
	j, err := square.Submit(ctx, f, 12)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := j.Wait(ctx); v != 144 || err != nil {
		t.Fatalf("job: %d, %v", v, err)
	}
	big := make([]byte, 1<<20)
	if out, err := double.Call(ctx, f, big); len(out) != 2<<20 || err != nil {
		t.Fatalf("large value: %d bytes, %v", len(out), err)
	}
}
