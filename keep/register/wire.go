package register

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/universal-server/become/ground/fault"
)

// What travels on a line between a [Remote] and [Serve], frame by frame:
//
//	owner  → hello    "BCR1", the register's identity
//	remote → swap     old, new, old, new …
//	owner  → present  0, the value before the first
//	         or       1, an error as package fault writes it
//	         or       2: the owner leaves; what it has not answered it has not done
//
// A number is a length as uvarint and so many digits; length 0 stands before a number below 2⁶⁴-1 that
// follows as uvarint.
const (
	helloMagic  = "BCR1"
	maxIdentity = 256

	answerValue   = 0
	answerError   = 1
	answerLeaving = 2

	// maxRequest is the longest frame that keeps MaxOps and MaxBytes: a short number takes 11 bytes at most.
	maxRequest = MaxBytes + MaxOps*2*11
)

func appendNumber(b []byte, n Number) []byte {
	b = binary.AppendUvarint(b, uint64(len(n.digits)))
	if n.digits == "" {
		return binary.AppendUvarint(b, n.small)
	}
	return append(b, n.digits...)
}

var errNumber = errors.New("a number is malformed")

func readNumber(b []byte) (n Number, rest []byte, err error) {
	long, size := binary.Uvarint(b)
	if size <= 0 {
		return n, nil, errNumber
	}
	b = b[size:]
	if long == 0 {
		small, size := binary.Uvarint(b)
		if size <= 0 || small == noSmall {
			return n, nil, errNumber
		}
		return Number{small: small}, b[size:], nil
	}
	if long > MaxDigits || long > uint64(len(b)) {
		return n, nil, errNumber
	}
	n, err = canonical(b[:long])
	return n, b[long:], err
}

// canonical reads digits of a number that is too large to be small, as Append writes it.
func canonical(b []byte) (Number, error) {
	n, next := ParsePrefix(b)
	if next != len(b) || len(n.digits) != len(b) {
		return Number{}, errNumber
	}
	return n, nil
}

func appendOps(b []byte, ops []Op) []byte {
	for i := range ops {
		b = appendNumber(appendNumber(b, ops[i].Old), ops[i].New)
	}
	return b
}

// readOps appends the operations of a request to ops.
func readOps(ops []Op, b []byte) ([]Op, error) {
	for len(b) > 0 {
		if len(ops) == MaxOps {
			return ops, fmt.Errorf("more than %d operations", MaxOps)
		}
		var op Op
		var err error
		if op.Old, b, err = readNumber(b); err != nil {
			return ops, err
		}
		if op.New, b, err = readNumber(b); err != nil {
			return ops, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func appendAnswer(b []byte, present Number, err error) []byte {
	if err != nil {
		return fault.Marshal(append(b, answerError), err)
	}
	return appendNumber(append(b, answerValue), present)
}

// leaving reports whether an answer says that the owner leaves.
func leaving(b []byte) bool { return len(b) == 1 && b[0] == answerLeaving }

// readAnswer returns what the owner answered; malformed says that it is no answer.
func readAnswer(b []byte) (present Number, err, malformed error) {
	if len(b) == 0 {
		return present, nil, errors.New("an empty answer")
	}
	rest := b[1:]
	switch b[0] {
	case answerValue:
		present, rest, malformed = readNumber(rest)
	case answerError:
		if err, rest, malformed = fault.Unmarshal(rest); err == nil && malformed == nil {
			malformed = errors.New("an error without content")
		}
	default:
		malformed = fmt.Errorf("an answer of type %d", b[0])
	}
	if malformed == nil && len(rest) > 0 {
		malformed = errors.New("bytes after the answer")
	}
	return present, err, malformed
}
