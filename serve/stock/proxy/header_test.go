package proxy

import (
	"net"
	"testing"
)

func TestHeader_IsThatOfTheProtocol(t *testing.T) {
	addr := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	const sig = "\r\n\r\n\x00\r\nQUIT\n"
	for _, test := range []struct {
		from, to net.Addr
		v1, v2   string
	}{
		{addr("192.0.2.1", 56324), addr("192.0.2.2", 443), "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
			sig + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"},
		{addr("2001:db8::1", 1), addr("::1", 65535), "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
			sig + "\x21\x21\x00\x24\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\xff\xff"},
		{addr("::ffff:192.0.2.1", 1), addr("192.0.2.2", 2), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
			sig + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02"},
		{addr("192.0.2.1", 1), addr("::1", 2), "PROXY UNKNOWN\r\n", sig + "\x21\x00\x00\x00"},
		{&net.UnixAddr{}, &net.UnixAddr{Name: "/s"}, "PROXY UNKNOWN\r\n", sig + "\x21\x00\x00\x00"},
		{nil, nil, "PROXY UNKNOWN\r\n", sig + "\x20\x00\x00\x00"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}, addr("fe80::2", 2), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n",
			sig + "\x21\x21\x00\x24\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x02"},
	} {
		if got := string(header(1, test.from, test.to)); got != test.v1 {
			t.Errorf("%v to %v: got %q, want %q", test.from, test.to, got, test.v1)
		}
		if got := string(header(2, test.from, test.to)); got != test.v2 {
			t.Errorf("%v to %v: got %q, want %q", test.from, test.to, got, test.v2)
		}
	}
}
