package values

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// DefaultMax is the largest value a Store takes if nobody says otherwise.
// Unit: bytes.
const DefaultMax = 1 << 30

// Store keeps values in blobs.
type Store struct {
	Blobs bus.Blobs
	// Max is the largest value. Unit: bytes. Default DefaultMax.
	Max int64
}

func (s *Store) max() int64 {
	if s.Max <= 0 {
		return DefaultMax
	}
	return s.Max
}

// Store keeps value and returns its name.
func (s *Store) Store(ctx context.Context, value []byte) (string, error) {
	if int64(len(value)) > s.max() {
		return "", fault.Text(fault.Invalid, "store value", "", fmt.Sprintf("%d bytes, the limit is %d", len(value), s.max()))
	}
	sum := sha256.Sum256(value)
	name := hex.EncodeToString(sum[:])
	if n, err := s.Blobs.Size(ctx, name); err == nil && n == int64(len(value)) {
		return name, nil
	}
	if err := s.Blobs.Put(ctx, name, bytes.NewReader(value)); err != nil {
		return "", fault.New(fault.KindOf(err), "store value", name[:12], err)
	}
	return name, nil
}

// Load returns the value stored under name. fault.NotFound when it has aged out.
func (s *Store) Load(ctx context.Context, name string) ([]byte, error) {
	r, err := s.Blobs.Open(ctx, name)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "load value", short(name), err)
	}
	defer r.Close()
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(r, s.max()+1))
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "load value", short(name), err)
	}
	sum := sha256.Sum256(buf.Bytes())
	if n > s.max() || hex.EncodeToString(sum[:]) != name {
		return nil, fault.Text(fault.Internal, "load value", short(name), "its bytes are not those that were stored")
	}
	return buf.Bytes(), nil
}

func short(name string) string {
	if len(name) > 12 {
		return name[:12]
	}
	return name
}
