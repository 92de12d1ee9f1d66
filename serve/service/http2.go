package service

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
)

// splitHTTP2 gives the HTTP/2 connections of one to another server: its Shutdown tells
// each of them to go away (RFC 9113, 6.8) and to end what is under way. That of one would also drop the HTTP/1
// connections whose next request is just arriving.
func splitHTTP2(one, two *http.Server) {
	two.Serve(noListener{}) // there is no other way to make it ready for HTTP/2
	one.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	for name, serve := range two.TLSNextProto {
		one.TLSNextProto[name] = func(_ *http.Server, c *tls.Conn, h http.Handler) { serve(two, c, h) }
	}
}

// goAway tells all connections of a server to end. It can be called again for those that came after.
func goAway(two *http.Server) {
	none, cancel := context.WithCancel(context.Background())
	cancel()
	two.Shutdown(none) // it knows no listener and no HTTP/1 connection to wait for
}

type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, errors.ErrUnsupported }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
