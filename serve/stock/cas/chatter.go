package cas

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"unicode"
)

// longestChatter is how much of a line is repeated. Unit: bytes.
const longestChatter = 200

// chatter prints what the lecture's server prints. A nil one prints nothing.
type chatter struct {
	mu sync.Mutex
	to io.Writer
}

func (o *Options) chatter() *chatter {
	if o == nil || o.Chatter == nil {
		return nil
	}
	return &chatter{to: o.Chatter}
}

func (c *chatter) print(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	io.WriteString(c.to, line+"\n") // nobody would hear of an error
}

// connection tells of a peer as Python does that prints two values: a text that ends in a blank, a blank, and a
// tuple. The tuple of IPv6 has four parts; the last two, flow and scope, are not known here.
func (c *chatter) connection(peer net.Addr) {
	if c == nil {
		return
	}
	c.print("Connection from  " + tuple(peer))
}

func tuple(peer net.Addr) string {
	a, err := netip.ParseAddrPort(peer.String())
	switch {
	case err != nil: // a Unix socket's peer has no name
		return "''"
	case a.Addr().Unmap().Is4():
		return fmt.Sprintf("('%s', %d)", a.Addr().Unmap(), a.Port())
	}
	return fmt.Sprintf("('%s', %d, 0, 0)", a.Addr(), a.Port())
}

// line repeats what a peer wrote. A terminal obeys control characters: they become question marks.
func (c *chatter) line(line []byte) {
	if c == nil {
		return
	}
	rest := ""
	if len(line) > longestChatter {
		line, rest = line[:longestChatter], "…"
	}
	text := strings.TrimSuffix(string(line), "\r")
	c.print(strings.Map(func(r rune) rune {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?")) + rest)
}
