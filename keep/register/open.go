package register

import (
	"context"
	"encoding/hex"
	"io"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// Shared is a register that has to be closed.
type Shared interface {
	Swapper
	io.Closer
}

// Open opens the register that an address says:
//
//	unix:/path   that of an owner at a Unix socket, see [Dial]; token is what it wants, in hexadecimal
//	file:/path   that in a file, see [OpenFile]
//	             empty: a new one in memory
func Open(ctx context.Context, address, token string) (Shared, error) {
	const op = "open register"
	if address == "" {
		return inMemory{new(Memory)}, nil
	}
	scheme, path, _ := strings.Cut(address, ":")
	switch {
	case path == "":
	case scheme == "file":
		return shared(OpenFile(path))
	case scheme == "unix":
		secret, err := hex.DecodeString(token)
		if err != nil {
			return nil, fault.Text(fault.Invalid, op, address, "the token is not hexadecimal")
		}
		return shared(Dial(ctx, path, secret))
	}
	return nil, fault.Text(fault.Invalid, op, strconv.Quote(address), "it is no address of a register").
		WithHint("an address is unix:/path or file:/path")
}

// shared keeps a nil pointer from becoming an interface that is not nil.
func shared[R Shared](r R, err error) (Shared, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

type inMemory struct{ *Memory }

func (inMemory) Close() error { return nil }
