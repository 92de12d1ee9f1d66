package span

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
)

// Request opens the span of a request over HTTP that a server has. It is nil if nobody makes spans. [Span.Answered] ends it.
func Request(ctx context.Context, r *http.Request) (context.Context, *Span) {
	if !On() {
		return ctx, nil
	}
	method := known(r.Method)
	name := method
	if name == other {
		name = "HTTP"
	}
	ctx, s := Begin(ctx, Server, name)
	if !s.Recorded() {
		return ctx, s
	}
	s.Text("http.request.method", method)
	if method == other {
		s.Text("http.request.method_original", r.Method)
	}
	s.Text("url.path", r.URL.Path)
	s.Text("url.scheme", scheme(r))
	s.Text("network.protocol.version", version(r))
	s.Text("user_agent.original", r.UserAgent())
	server, port := address(r.Host)
	s.Text("server.address", server)
	if port > 0 {
		s.Number("server.port", port)
	}
	peer, _ := address(r.RemoteAddr)
	s.Text("client.address", peer)
	return ctx, s
}

// Routed names the span of a request after what it is for: route is low in number, as /notes/{id}.
func (s *Span) Routed(r *http.Request, route string) {
	if s.Recorded() {
		method := known(r.Method)
		if method == other {
			method = "HTTP"
		}
		s.Name(method + " " + route)
		s.Text("http.route", route)
	}
}

// Method says which method of which service was asked for.
func (s *Span) Method(system, service, method string) {
	if s.Recorded() {
		s.Text("rpc.system", system)
		s.Text("rpc.service", service)
		s.Text("rpc.method", method)
	}
}

// Answered ends the span of a request with the status of its answer. Only the server's own failures are failures of it.
func (s *Span) Answered(status int) {
	if s == nil {
		return
	}
	s.Number("http.response.status_code", status)
	if status >= 500 {
		s.Fail(strconv.Itoa(status), http.StatusText(status))
	}
	s.s.End()
}

// Writer is an http.ResponseWriter that remembers the status of its answer.
type Writer struct {
	http.ResponseWriter
	Status int // 0 before there is one
}

// WriteHeader passes the status on. Those below 200 are followed by another, but for a change of the protocol.
func (w *Writer) WriteHeader(status int) {
	if w.Status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) Write(b []byte) (int, error) {
	w.begun()
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps the short way of files.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	w.begun()
	return io.Copy(w.ResponseWriter, r)
}

// Flush is http.Flusher's.
func (w *Writer) Flush() {
	w.begun()
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is http.Hijacker's.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *Writer) begun() {
	if w.Status == 0 {
		w.Status = http.StatusOK
	}
}

const other = "_OTHER"

// known is a method of HTTP's, or that it is another: anybody can invent one.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return method
	}
	return other
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func version(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}

// address takes host:port apart; a text that is none is all host.
func address(text string) (host string, port int) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return text, 0
	}
	port, _ = strconv.Atoi(number)
	return host, port
}
