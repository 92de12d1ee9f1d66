package router

import (
	"hash/fnv"
	"net"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// Policy says which process gets a connection. The zero value is least.
type Policy struct {
	by     string // "", ip, line or header
	header string // the field's name
}

const maxHeaderName = 256

// Parse reads a policy: least, ip, line or header:NAME. fault.Invalid when it is none.
func Parse(text string) (Policy, error) {
	switch text {
	case "least":
		return Policy{}, nil
	case "ip", "line":
		return Policy{by: text}, nil
	}
	if name, ok := strings.CutPrefix(text, "header:"); ok && isToken(name) {
		return Policy{"header", name}, nil
	}
	return Policy{}, fault.Text(fault.Invalid, "route by", strconv.Quote(text), "there is no such policy").
		WithHint("it is least, ip, line or header:NAME, as in header:X-Session")
}

// isToken says whether a name can be that of a header field (RFC 9110, section 5.6.2).
func isToken(name string) bool {
	for _, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != "" && len(name) <= maxHeaderName
}

// String returns the policy as Parse reads it.
func (p Policy) String() string {
	switch p.by {
	case "":
		return "least"
	case "header":
		return "header:" + p.header
	}
	return p.by
}

// Reads says whether the policy needs to read from a connection.
func (p Policy) Reads() bool { return p.by == "line" || p.by == "header" }

// hash makes a key short. It is the same in every program, so that an affinity survives the router's.
func hash(key []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	return h.Sum64()
}

// rank says how much a key prefers a process: the number with the highest rank has it.
func rank(key uint64, number int) uint64 {
	// The finalizer of SplitMix64, which spreads what FNV leaves close together.
	x := key + uint64(number)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// addressKey is the key of a client by its address; none for a Unix socket's.
func addressKey(a net.Addr) (key []byte) {
	if a, ok := a.(*net.TCPAddr); ok {
		key, _ = a.AddrPort().Addr().Unmap().MarshalBinary()
	}
	return key
}
