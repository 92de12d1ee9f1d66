package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// maxFile bounds a file of PEM: a chain of some certificates has 10 KB.
const maxFile = 256 << 10

// Source says where a certificate comes from. The zero value is no source.
type Source struct {
	// Cert and Key are files of PEM: the certificate with the ones that signed it, and its key.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// Self, instead, makes one for development, which browsers warn about.
	Self bool `json:"self,omitempty"`
}

// Check says what is missing, as fault.Invalid.
func (s Source) Check() error {
	text := ""
	switch {
	case s.Self && (s.Cert != "" || s.Key != ""):
		text = "it is self-made or from files, not both"
	case s.Cert != "" && s.Key == "":
		text = "the certificate needs its key"
	case s.Cert == "" && s.Key != "":
		text = "the key needs its certificate"
	default:
		return nil
	}
	return fault.Text(fault.Invalid, "use certificate", "", text)
}

// Load reads or makes the pair. home is the folder of become's that keeps self-made ones, hosts what they are for,
// beside this machine itself. Errors: fault.Invalid when it is none, fault.NotFound and fault.Denied for files, and
// those of home.Share.
func (s Source) Load(home string, hosts ...string) (*Pair, error) {
	return origin{s, home, hosts}.load()
}

// origin is all that is needed to load a pair.
type origin struct {
	Source
	Home  string   `json:"home,omitempty"`
	Hosts []string `json:"hosts,omitempty"`
}

func (o origin) load() (p *Pair, err error) {
	err = o.Check()
	switch {
	case err != nil:
	case o.Self:
		p, err = selfMade(o.Home, o.Hosts, time.Now())
	case o.Cert == "":
		err = fault.Text(fault.Invalid, "use certificate", "", "there is none")
	default:
		p, err = load(o.Cert, o.Key)
	}
	if err != nil {
		return nil, err
	}
	p.Origin = o
	return p, nil
}

// Pair is a certificate and its key, both PEM. It can travel as JSON.
type Pair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
	// Path is the certificate's file, for people.
	Path string `json:"path,omitempty"`
	// Origin is for Again.
	Origin origin `json:"origin"`
}

// Again loads the pair from where it came: it may have been renewed meanwhile. The errors are
// those of Source.Load.
func (p *Pair) Again() (*Pair, error) { return p.Origin.load() }

func load(certFile, keyFile string) (*Pair, error) {
	cert, err := readFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readFile(keyFile)
	if err != nil {
		return nil, err
	}
	p := &Pair{Cert: cert, Key: key, Path: certFile}
	if _, err := p.TLS(); err != nil {
		return nil, err
	}
	return p, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if len(data) > maxFile {
		return nil, fault.Text(fault.Invalid, "read certificate", path, fmt.Sprintf("the file has more than %d bytes", maxFile))
	}
	return data, nil
}

func fileError(path string, err error) error {
	kind := fault.Invalid
	switch {
	case errors.Is(err, os.ErrNotExist):
		kind = fault.NotFound
	case errors.Is(err, os.ErrPermission):
		kind = fault.Denied
	}
	if inner, ok := errors.AsType[*os.PathError](err); ok {
		err = inner.Err
	}
	return fault.New(kind, "read certificate", path, err)
}

// TLS is the pair as package tls wants it. fault.Invalid when it is none.
func (p *Pair) TLS() (tls.Certificate, error) {
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err == nil {
		return c, nil
	}
	text := strings.TrimPrefix(err.Error(), "tls: ")
	if block, _ := pem.Decode(p.Key); block != nil && (strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "") {
		text = "the key needs a password"
	}
	return tls.Certificate{}, fault.Text(fault.Invalid, "use certificate", p.Path, text)
}

// leaf is the certificate itself; nil for a pair that Load did not return.
func (p *Pair) leaf() *x509.Certificate {
	c, err := p.TLS()
	if err != nil {
		return nil
	}
	return c.Leaf
}

// Hosts are the names and addresses that the certificate is for.
func (p *Pair) Hosts() (all []string) {
	leaf := p.leaf()
	if leaf == nil {
		return nil
	}
	all = append(all, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// Fingerprint is the certificate's SHA-256, as browsers and openssl show it.
func (p *Pair) Fingerprint() string {
	leaf := p.leaf()
	if leaf == nil {
		return ""
	}
	sum := sha256.Sum256(leaf.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// NotAfter is the end of the certificate's time.
func (p *Pair) NotAfter() time.Time {
	leaf := p.leaf()
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// String tells people which certificate it is. The key is never in it.
func (p *Pair) String() string {
	return fmt.Sprintf("%s for %s, until %s, SHA-256 fingerprint %s",
		p.Path, strings.Join(p.Hosts(), ", "), p.NotAfter().UTC().Format(time.DateOnly), p.Fingerprint())
}

// warnWithin is how long before its end a certificate is worth a warning.
const warnWithin = 14 * 24 * time.Hour

// Warning says that the certificate's time is not now, or over soon; empty if all is well.
func (p *Pair) Warning(now time.Time) string {
	leaf := p.leaf()
	const day = 24 * time.Hour
	switch {
	case leaf == nil:
		return ""
	case now.Before(leaf.NotBefore):
		return "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.DateTime) + " UTC"
	case now.After(leaf.NotAfter):
		return "the certificate ended on " + leaf.NotAfter.UTC().Format(time.DateTime) + " UTC: clients refuse it"
	case now.Add(warnWithin).After(leaf.NotAfter):
		return fmt.Sprintf("the certificate ends in %d days, on %s", leaf.NotAfter.Sub(now)/day, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return ""
}
