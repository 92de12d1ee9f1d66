package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"

	"github.com/universal-server/become/ground/fault"
)

// Digest returns the name of what r gives until EOF, its lower-case hex SHA-256,
// and its length.
func Digest(r io.Reader) (digest string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	if err != nil {
		return "", 0, fault.New(fault.KindOf(err), "read code", "", err)
	}
	return name(h), size, nil
}

// FileDigest is Digest of a file.
func FileDigest(path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, openError("read code", path, err)
	}
	defer f.Close()
	return Digest(f)
}

// ValidDigest reports whether s has the form of a digest. Only such a text may
// become part of a path or key.
func ValidDigest(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func name(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// checked reads code and ends in an error, not in EOF, if it is not what it
// should be; it never gives more than size bytes.
type checked struct {
	r      io.Reader
	hash   hash.Hash
	digest string
	size   int64 // wanted
	read   int64
	seen   func(read, size int64) // may be nil
}

func newChecked(r io.Reader, digest string, size int64) *checked {
	return &checked{r: r, hash: sha256.New(), digest: digest, size: size}
}

func (c *checked) Read(p []byte) (int, error) {
	if c.read == c.size {
		return 0, c.end(p)
	}
	if int64(len(p)) > c.size-c.read {
		p = p[:c.size-c.read]
	}
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.read += int64(n)
	if n > 0 && c.seen != nil {
		c.seen(c.read, c.size)
	}
	if err == io.EOF {
		if c.read == c.size {
			return n, nil // the next Read tells
		}
		err = c.wrong("it is shorter than its manifest says")
	}
	return n, err
}

// end decides after the last byte that should be there.
func (c *checked) end(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	switch n, err := io.ReadFull(c.r, p[:1]); {
	case n > 0:
		return c.wrong("it is longer than its manifest says")
	case err != io.EOF:
		return err
	case name(c.hash) != c.digest:
		return c.wrong("its digest is " + name(c.hash))
	}
	return io.EOF
}

func (c *checked) wrong(text string) error {
	return fault.Text(fault.Denied, "accept code", c.digest, text)
}
