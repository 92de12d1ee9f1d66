package values

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// DefaultMax is the largest value a Store takes if nobody says otherwise.
// Unit: bytes.
const DefaultMax = 1 << 30

// Store keeps values in blobs.
type Store struct {
	Blobs bus.Blobs
	// Last is how long a value is there, at least, after each time that it is stored. The
	// blobs have to keep it for [Age] of that. Default: as long as the blobs keep it.
	Last time.Duration
	// Max is the largest value. Unit: bytes. Default DefaultMax.
	Max int64
}

func (s *Store) max() int64 {
	if s.Max <= 0 {
		return DefaultMax
	}
	return s.Max
}

// Age is how long blobs have to keep what is to last: longer, so that what is stored again and
// again need not be written each time.
func Age(last time.Duration) time.Duration { return last + last/2 }

// Store keeps value and returns its name.
func (s *Store) Store(ctx context.Context, value []byte) (string, error) {
	if int64(len(value)) > s.max() {
		return "", fault.Text(fault.Invalid, "store value", "", fmt.Sprintf("%d bytes, the limit is %d", len(value), s.max()))
	}
	sum := sha256.Sum256(value)
	name := hex.EncodeToString(sum[:])
	if s.isThere(ctx, name, len(value)) {
		return name, nil
	}
	if err := s.Blobs.Put(ctx, name, bytes.NewReader(value)); err != nil {
		return "", fault.New(fault.KindOf(err), "store value", name[:12], err)
	}
	return name, nil
}

// isThere reports whether the value need not be written again: one that has been there for long
// would be gone too early.
func (s *Store) isThere(ctx context.Context, name string, size int) bool {
	info, err := s.Blobs.Stat(ctx, name)
	return err == nil && info.Size == int64(size) && (s.Last <= 0 || time.Since(info.Time) < Age(s.Last)-s.Last)
}

// loadTries is how often a value is read that is being replaced, by the same, meanwhile.
const loadTries = 3

// Load returns the value stored under name. fault.NotFound when it has aged out.
func (s *Store) Load(ctx context.Context, name string) (value []byte, err error) {
	for range loadTries {
		if value, err = s.load(ctx, name); err == nil || fault.KindOf(err) != fault.Internal {
			break
		}
	}
	return value, err
}

func (s *Store) load(ctx context.Context, name string) ([]byte, error) {
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
