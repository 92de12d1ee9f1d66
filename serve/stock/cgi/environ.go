package cgi

import (
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// environ is what a script is told about a request (RFC 3875, section 4.1).
func environ(r *http.Request, s script, body int64, authorization bool) []string {
	env := []string{
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=become", "SERVER_PROTOCOL=" + r.Proto,
		"REQUEST_METHOD=" + r.Method, "QUERY_STRING=" + r.URL.RawQuery, "REQUEST_URI=" + r.URL.RequestURI(),
		"SCRIPT_NAME=" + s.name, "SCRIPT_FILENAME=" + s.file, "PATH_INFO=" + s.info,
	}
	env = append(env, server(r)...)
	env = append(env, client(r)...)
	if body > 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(body, 10))
	}
	if t := r.Header.Get("Content-Type"); t != "" && body > 0 {
		env = append(env, "CONTENT_TYPE="+t)
	}
	if r.TLS != nil {
		env = append(env, "HTTPS=on")
	}
	if r.Host != "" {
		env = append(env, "HTTP_HOST="+r.Host)
	}
	for key, values := range r.Header {
		if name := variable(key); name != "" && (authorization || key != "Authorization") {
			between := ", "
			if key == "Cookie" {
				between = "; "
			}
			env = append(env, name+"="+strings.Join(values, between))
		}
	}
	return env
}

func server(r *http.Request) []string {
	name, port := r.Host, "80"
	if r.TLS != nil {
		port = "443"
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if host, p, err := net.SplitHostPort(local.String()); err == nil {
			port = p
			if name == "" {
				name = host
			}
		}
	}
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return []string{"SERVER_NAME=" + name, "SERVER_PORT=" + port}
}

func client(r *http.Request) []string {
	host, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil { // a Unix socket: its clients have no names
		return []string{"REMOTE_ADDR=unix:", "REMOTE_HOST=unix:"}
	}
	return []string{"REMOTE_ADDR=" + host, "REMOTE_HOST=" + host, "REMOTE_PORT=" + port}
}

// unpassed are header fields that are about the connection, are in other variables, or are taken for
// what they are not.
var unpassed = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Expect": true, "Content-Type": true, "Content-Length": true, "Proxy": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Host": true,
}

// variable is the name of the variable for a header field, or "" if it has none.
func variable(key string) string {
	if unpassed[key] {
		return ""
	}
	b := []byte("HTTP_" + key)
	for i := len("HTTP_"); i < len(b); i++ {
		switch c := b[i]; {
		case c == '-':
			b[i] = '_'
		case 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default: // X_Y must not be taken for X-Y; a shell cannot read other names
			return ""
		}
	}
	return string(b)
}

// ownEnv is what scripts get of this process's environment.
func ownEnv() (env []string) {
	for _, name := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
