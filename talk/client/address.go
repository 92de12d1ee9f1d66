package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// target is where a server is: a URL, and how it is reached.
type target struct {
	url       string
	transport *http.Transport
}

// parse reads an address.
func parse(address string, config *tls.Config) (target, error) {
	bad := fault.Text(fault.Invalid, opDial, address, "want an address as in http://127.0.0.1:8080, https://, ws://, wss://, tls:// or unix:/path")
	// HTTP/1.1 is what WebSocket is for.
	t := target{transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, Protocols: new(http.Protocols)}}
	t.transport.Protocols.SetHTTP1(true)
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return t, bad
		}
		t.url, t.transport.Proxy = "http://localhost/", nil
		t.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return t, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return t, bad
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss", "tls":
		u.Scheme = "https"
	default:
		return t, bad
	}
	t.url = u.String()
	return t, nil
}
