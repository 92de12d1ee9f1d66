package child

import (
	"crypto/tls"
	"net"

	"github.com/universal-server/become/work/control"
)

// listenTLS opens the listener for bosses on other machines.
func listenTLS(start control.Start) (net.Listener, error) {
	cert, err := tls.X509KeyPair(start.CertPEM, start.KeyPEM)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", start.TCP, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
}
