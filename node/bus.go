package node

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/work/roster"
)

// checkListen refuses to be open to other machines without a key that was
// given on purpose.
func (n *Node) checkListen() error {
	if n.opts.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(n.opts.Listen)
	if err != nil {
		return fault.Text(fault.Invalid, "listen at", n.opts.Listen, "want host:port").WithHint("as in 127.0.0.1:4321")
	}
	if loopback(host) {
		return nil
	}
	if n.opts.Key == "" {
		return fault.Text(fault.Denied, "listen at", n.opts.Listen, "other machines could reach it and no key was given").
			WithHint("make a key with: become key new FILE, and give it with --key FILE to every node and boss")
	}
	n.lineTCP = net.JoinHostPort(host, "0")
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (n *Node) openKey() (*key.Key, error) {
	if n.opts.Key != "" {
		return fleet.ReadKey(n.opts.Key)
	}
	path := n.home.Key()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		k := key.New()
		return k, k.Save(path)
	}
	return key.Load(path)
}

func (n *Node) openBus(ctx context.Context) (err error) {
	opts := &jet.Options{Name: "node " + n.ID(), Replicas: n.opts.Replicas, Logger: n.opts.Logger}
	n.url = n.opts.URL
	if n.url == "" {
		if n.server, err = n.startServer(); err != nil {
			return err
		}
		n.url = n.server.URL()
	}
	opts.Ticket = n.key.Ticket(key.Claims{Role: key.RoleNode, ID: n.ID(), Expires: time.Now().Add(10 * 365 * 24 * time.Hour)})
	opts.Public = n.key.Public().String()
	n.bus, err = jet.Connect(ctx, n.url, opts)
	return err
}

// startServer starts the embedded bus, without an address at the one of the
// last start if it is still free.
func (n *Node) startServer() (*embed.Server, error) {
	opts := embed.Options{
		Dir: n.home.Bus(), Listen: n.opts.Listen, Key: n.key, Name: n.ID(),
		SyncAlways: n.opts.Durable, MaxStore: n.opts.MaxStore, Logger: n.opts.Logger,
	}
	if opts.Listen != "" {
		return embed.Start(opts)
	}
	path := filepath.Join(n.home.Dir(), "address")
	if last, err := os.ReadFile(path); err == nil && free(string(last)) {
		opts.Listen = string(last)
	}
	server, err := embed.Start(opts)
	if fault.KindOf(err) == fault.Busy && opts.Listen != "" { // somebody was faster
		opts.Listen = ""
		server, err = embed.Start(opts)
	}
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(server.URL()); err == nil {
		os.WriteFile(path, []byte(u.Host), 0o600) // only a convenience
	}
	return server, nil
}

// free reports whether a loopback address can be listened at.
func free(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !loopback(host) {
		return false
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// listen subscribes to what bosses and clients ask of nodes.
func (n *Node) listen() error {
	for subject, f := range map[string]func(bus.Message){
		roster.SubjectWant:            n.onWant,
		roster.SubjectWake:            func(bus.Message) { n.lookForJobs() },
		roster.SubjectStatus:          n.onStatus,
		roster.SubjectLogs:            n.onLogs,
		roster.UpgradeSubject(n.ID()): n.onUpgrade,
	} {
		s, err := n.bus.Subscribe(n.ctx, subject, "", f)
		if err != nil {
			return err
		}
		n.subs = append(n.subs, s)
	}
	return nil
}
