package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/universal-server/become/bench/rig"
)

// Prefork starts the seed's prefork server: four Python processes that accept from one socket and
// serve a folder.
func Prefork(folder string) func(context.Context, string) (*Peer, error) {
	return func(_ context.Context, dir string) (*Peer, error) {
		python, err := rig.Find("python3")
		if err != nil {
			return nil, err
		}
		p, err := newPeer("the seed's Python prefork", dir, "prefork.py")
		if err != nil {
			return nil, err
		}
		// Its log goes nowhere, so that nobody works to read it.
		return p.serves(func(port string) error {
			return p.start(nil, "/bin/sh", "-c", `exec "$0" "$@" 2>/dev/null`, python, p.path("prefork.py"), port, folder)
		})
	}
}

// Gunicorn starts gunicorn with two workers and a hello.
func Gunicorn(_ context.Context, dir string) (*Peer, error) {
	gunicorn, err := rig.Find("gunicorn")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("gunicorn", dir, "hello.py")
	if err != nil {
		return nil, err
	}
	return p.serves(func(port string) error {
		return p.start(nil, gunicorn, "--workers", "2", "--bind", "127.0.0.1:"+port, "--chdir", p.dir, "--log-level", "error", "hello:app")
	})
}

// GunicornJSON starts gunicorn with two workers and the Multiply of examples/crunch.
func GunicornJSON(_ context.Context, dir string) (*Peer, error) {
	gunicorn, err := rig.Find("gunicorn")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("gunicorn", dir, "crunch.py")
	if err != nil {
		return nil, err
	}
	return p.serves(func(port string) error {
		return p.start(nil, gunicorn, "--workers", "2", "--bind", "127.0.0.1:"+port, "--chdir", p.dir, "--log-level", "error", "crunch:app")
	})
}

// LayerCake starts the Multiply of examples/crunch on layer-cake, the successor of Ansar, which the seed is written with. There is no
// package of it: PYTHONPATH has to name its source and what that needs.
func LayerCake(_ context.Context, dir string) (*Peer, error) {
	python, err := pythonWith("layer_cake")
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		missing.Rare = true
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	p, err := newPeer("Ansar's successor, layer-cake", dir, "layer_cake_peer.py")
	if err != nil {
		return nil, err
	}
	return p.serves(func(port string) error {
		return p.start([]string{"HOME=" + p.dir}, python, p.path("layer_cake_peer.py"), port)
	})
}

// SimpleXMLRPC starts Python's own XML-RPC server.
func SimpleXMLRPC(_ context.Context, dir string) (*Peer, error) {
	python, err := rig.Find("python3")
	if err != nil {
		return nil, err
	}
	p, err := newPeer("Python's SimpleXMLRPCServer", dir, "xmlrpc_peer.py")
	if err != nil {
		return nil, err
	}
	return p.serves(func(port string) error { return p.start(nil, python, p.path("xmlrpc_peer.py"), port) })
}

const nginxConf = `daemon off; worker_processes 2; pid %[1]s/pid; error_log %[1]s/error.log crit;
events { worker_connections 20000; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  types { text/plain txt; } default_type application/octet-stream;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen 127.0.0.1:%[2]s backlog=4096; root %[3]s; }
}
`

// Nginx starts nginx with two workers over a folder.
func Nginx(folder string) func(context.Context, string) (*Peer, error) {
	return func(_ context.Context, dir string) (*Peer, error) {
		nginx, err := exec.LookPath("nginx")
		if err != nil {
			if nginx = "/usr/sbin/nginx"; exec.Command(nginx, "-v").Run() != nil {
				return nil, &rig.Missing{What: "nginx"}
			}
		}
		p, err := newPeer("nginx", dir)
		if err != nil {
			return nil, err
		}
		// Its workers are another user, who may not look into our folder.
		return p.serves(func(port string) error {
			conf := p.path("nginx.conf")
			text := fmt.Sprintf(nginxConf, p.dir, port, folder)
			if os.Geteuid() == 0 {
				text = "user root;" + text
			}
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				return err
			}
			return p.start(nil, nginx, "-c", conf, "-p", p.dir)
		})
	}
}

// RedisAlone starts Redis with nobody who uses it.
func RedisAlone(_ context.Context, dir string) (*Peer, error) {
	p, err := newPeer("Redis, EVALSHA", dir)
	if err != nil {
		return nil, err
	}
	port, err := p.startRedis()
	if err != nil {
		p.Stop()
		return nil, err
	}
	p.Addr = "127.0.0.1:" + port
	return p, nil
}

// serves starts a server at a free port and waits until it listens.
func (p *Peer) serves(start func(port string) error) (*Peer, error) {
	port, err := freePort()
	if err == nil {
		err = start(port)
	}
	if err == nil {
		err = listening(port)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.Addr = "127.0.0.1:" + port
	return p, nil
}
