package bundle

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/universal-server/become/ground/fault"
)

// Bounds of a sealed manifest.
const (
	MaxSealed  = 768 << 10 // bytes; a message on the bus holds 1 MiB
	MaxExports = 10_000

	sealContext = "become bundle manifest v1"
	sealVersion = 1
	sealHead    = 3 // version and the signature's length
	maxSig      = 1024
	maxName     = 256
)

// Signer signs messages. The context keeps a signature for one purpose from
// being shown for another.
type Signer interface {
	Sign(context string, msg []byte) []byte
}

// Verifier checks what the matching Signer signed.
type Verifier interface {
	Verify(context string, msg, sig []byte) bool
}

// Check reports what is wrong with a manifest, as fault.Invalid.
func (m Manifest) Check() error {
	text := ""
	switch {
	case !ValidDigest(m.Digest):
		text = "the digest is no lower-case hex SHA-256"
	case m.Kind != Native && m.Kind != JS:
		text = fmt.Sprintf("the kind %q is unknown", m.Kind)
	case m.Size < 0:
		text = "the size is negative"
	case len(m.Name) > maxName:
		text = "the name is too long"
	case len(m.Exports) > MaxExports || len(m.Services) > MaxExports:
		text = "there are too many exports"
	case m.Kind == Native && (m.GOOS == "" || m.GOARCH == ""):
		text = "a native bundle needs an operating system and architecture"
	default:
		return nil
	}
	return fault.Text(fault.Invalid, "use manifest", m.Digest, text)
}

// Seal returns the signed form of a manifest: a version byte, the length of the
// signature in two bytes, the signature, and the manifest as JSON. fault.Invalid when
// the manifest is wrong or too long.
func Seal(m Manifest, s Signer) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	msg, err := json.Marshal(m)
	if err != nil {
		return nil, fault.New(fault.Invalid, "sign manifest", m.Digest, err)
	}
	sig := s.Sign(sealContext, msg)
	if len(sig) == 0 || len(sig) > maxSig {
		return nil, fault.Text(fault.Internal, "sign manifest", m.Digest, fmt.Sprintf("the signature has %d bytes", len(sig)))
	}
	if sealHead+len(sig)+len(msg) > MaxSealed {
		return nil, fault.Text(fault.Invalid, "sign manifest", m.Digest, "it is too long").
			WithHint("shorten the schemas of its exports")
	}
	b := binary.BigEndian.AppendUint16([]byte{sealVersion}, uint16(len(sig)))
	return append(append(b, sig...), msg...), nil
}

// Unseal checks the signature and returns the manifest. fault.Denied when the
// signature is wrong or there is none, fault.Invalid when what was signed is no manifest.
func Unseal(b []byte, v Verifier) (Manifest, error) {
	sig, msg, err := open(b)
	if err != nil {
		return Manifest{}, err
	}
	if v == nil || !v.Verify(sealContext, msg, sig) {
		return Manifest{}, denied("no trusted key signed it")
	}
	var m Manifest
	if err := json.Unmarshal(msg, &m); err != nil {
		return Manifest{}, fault.New(fault.Invalid, "read manifest", "", err)
	}
	if err := m.Check(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// open takes the envelope apart.
func open(b []byte) (sig, msg []byte, err error) {
	if len(b) > MaxSealed {
		return nil, nil, denied("it is too long")
	}
	if len(b) < sealHead || b[0] != sealVersion {
		return nil, nil, denied("it is no signed manifest this program knows")
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n > maxSig || n > len(b)-sealHead {
		return nil, nil, denied("its signature is cut short")
	}
	return b[sealHead : sealHead+n], b[sealHead+n:], nil
}

func denied(text string) error { return fault.Text(fault.Denied, "trust manifest", "", text) }
