package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

const (
	validFor   = 365 * 24 * time.Hour
	renewAhead = 30 * 24 * time.Hour
	certName   = "cert.pem"
	keyName    = "key.pem"
)

// selfMade returns the certificate that is kept for hosts, or makes one.
func selfMade(dir string, hosts []string, now time.Time) (p *Pair, err error) {
	hosts = withLocal(hosts)
	err = home.Share(dir, "tls", func(all string) error {
		folder := filepath.Join(all, folderOf(hosts))
		if p = kept(folder, hosts, now); p != nil {
			return nil
		}
		if err := makeIn(folder, hosts, now); err != nil {
			return fault.New(fault.Internal, "make certificate", folder, err)
		}
		p, err = load(filepath.Join(folder, certName), filepath.Join(folder, keyName))
		return err
	})
	return p, err
}

// withLocal adds this machine to the hosts, and sorts them.
func withLocal(hosts []string) []string {
	all := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			h = ip.String()
		}
		if h != "" {
			all = append(all, strings.ToLower(h))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// folderOf is the name under which the certificate for hosts is kept.
func folderOf(hosts []string) string {
	if len(hosts) == 3 {
		return "localhost"
	}
	sum := sha256.Sum256([]byte(strings.Join(hosts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// kept returns what is in a folder, if it is good for a while.
func kept(folder string, hosts []string, now time.Time) *Pair {
	p, err := load(filepath.Join(folder, certName), filepath.Join(folder, keyName))
	if err != nil {
		return nil
	}
	leaf := p.leaf()
	if now.Before(leaf.NotBefore) || now.Add(renewAhead).After(leaf.NotAfter) {
		return nil
	}
	for _, h := range hosts {
		if leaf.VerifyHostname(h) != nil {
			return nil
		}
	}
	return p
}

// makeIn puts a new certificate into folder, in the place of what is there.
func makeIn(folder string, hosts []string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	t := template(hosts, now)
	cert, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	// Without both files it is none: a crash in between costs nothing but a new one.
	for name, block := range map[string]*pem.Block{
		certName: {Type: "CERTIFICATE", Bytes: cert}, keyName: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// template is a certificate that signs itself, so that a client can trust just this one.
func template(hosts []string, now time.Time) *x509.Certificate {
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "become, for development"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	serial := make([]byte, 15)
	rand.Read(serial)
	t.SerialNumber = new(big.Int).SetBytes(serial)
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}
