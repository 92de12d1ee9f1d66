package key

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// authority returns the certificate that the key signs others with. It is the
// same for the same key, ed25519 signatures being deterministic.
func (k *Key) authority() ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "become fleet"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return x509.CreateCertificate(rand.Reader, template, template, k.private.Public(), k.private)
}

// Certificate makes an identity for a TLS server: a certificate chain that
// ends in the fleet's key, and the certificate's own new key.
func (k *Key) Certificate(hosts ...string) (certPEM, keyPEM []byte, err error) {
	ca, err := k.authority()
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	parent, err := x509.ParseCertificate(ca)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "become"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if h != "" {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, parent, public, k.private)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	certPEM = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})...)
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ServerTLS returns the configuration of a server of this fleet.
func (k *Key) ServerTLS(hosts ...string) (*tls.Config, error) {
	certPEM, keyPEM, err := k.Certificate(hosts...)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.New(fault.Internal, "make certificate", "", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}

// ClientTLS returns a configuration that accepts any server whose certificate
// this fleet's key has signed, whatever its name and address, and no other.
func (p Public) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The ordinary check asks for known authorities and names; ours is stricter
		// and follows.
		InsecureSkipVerify: true,
		VerifyConnection:   p.verify,
	}
}

func (p Public) verify(s tls.ConnectionState) error {
	for _, ca := range s.PeerCertificates[min(1, len(s.PeerCertificates)):] {
		public, ok := ca.PublicKey.(ed25519.PublicKey)
		if !ok || !bytes.Equal(public, p.key) {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
		if err != nil {
			return fault.New(fault.Denied, "trust server", "", err)
		}
		return nil
	}
	return fault.New(fault.Denied, "trust server", "", errors.New("its certificate is not of this fleet's key"))
}
