//go:build !unix

package service

import "net"

// parks returns the listener: what idles stays with net/http.
func (w *web) parks(l net.Listener) net.Listener { return l }

func (w *web) unpark() {}
