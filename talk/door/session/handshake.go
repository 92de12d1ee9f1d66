package session

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// The fields of a handshake's header, RFC 6455, 4.2.1, as net/http spells them.
const (
	fieldConnection = "Connection"
	fieldUpgrade    = "Upgrade"
	fieldVersion    = "Sec-Websocket-Version"
	fieldKey        = "Sec-Websocket-Key"
	fieldProtocol   = "Sec-Websocket-Protocol"
)

const version = "13"

// check says why no session can come of a request. Why not leave it to the library? It answers in its own words, and not with a
// problem; and it has sessions with those that want none of our subprotocols.
func (d *Door) check(r *http.Request) error {
	if origin := r.Header.Get("Origin"); !d.allowed(origin, r.Host) {
		return fault.Text(fault.Denied, "open session from", origin, "its pages are of another origin")
	}
	upgrade := func(text string) error {
		return problem.New(http.StatusUpgradeRequired, text).With(fieldUpgrade, "websocket").With(fieldConnection, "Upgrade")
	}
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return upgrade("a session begins with HTTP/1.1")
	case r.Method != http.MethodGet:
		return problem.New(http.StatusMethodNotAllowed, "a session begins with GET, not "+r.Method).With("Allow", http.MethodGet)
	case !slices.ContainsFunc(listed(r, fieldConnection), func(one string) bool { return strings.EqualFold(one, "upgrade") }):
		return upgrade("the header's Connection has no Upgrade")
	case r.Header.Get(fieldVersion) != version:
		return problem.New(http.StatusBadRequest, "the WebSocket version is "+shown(r.Header.Get(fieldVersion))+", want "+version).With(fieldVersion, version)
	case !goodKey(r.Header[fieldKey]):
		return problem.New(http.StatusBadRequest, "the header's Sec-WebSocket-Key is not 16 bytes in base64, once")
	}
	return checkProtocols(listed(r, fieldProtocol))
}

// listed are the elements of a list in a header's field.
func listed(r *http.Request, field string) (all []string) {
	for _, one := range r.Header[field] {
		for element := range strings.SplitSeq(one, ",") {
			if element = strings.TrimSpace(element); element != "" {
				all = append(all, element)
			}
		}
	}
	return all
}

func goodKey(keys []string) bool {
	if len(keys) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16
}

// checkProtocols says that a client wants one of our subprotocols, or none at all.
func checkProtocols(wanted []string) error {
	for _, one := range wanted {
		for _, ours := range frame.Protocols() {
			if strings.EqualFold(one, ours) {
				return nil
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return problem.New(http.StatusBadRequest, "there is no subprotocol "+shown(strings.Join(wanted, ", "))+"; there is "+strings.Join(frame.Protocols(), ", "))
}

// shown bounds a text of the client's.
func shown(text string) string {
	const most = 60
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.QuoteToASCII(text)
}

// allowed says whether a browser's page may connect. Programs send no origin.
func (d *Door) allowed(origin, host string) bool {
	if origin == "" || slices.Contains(d.opts.Origins, "*") || slices.Contains(d.opts.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
