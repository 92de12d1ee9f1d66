package register

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
)

func FuzzReadOps(f *testing.F) {
	f.Add(appendOps(nil, []Op{{Uint(0), Uint(1)}, {Uint(noSmall), Uint(noSmall - 1)}}))
	f.Add([]byte{0, 0x80, 0x80, 0, 0, 1})
	f.Add([]byte{21, '9'})
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := readOps(nil, b)
		if err != nil {
			return
		}
		for _, op := range ops {
			for _, n := range []Number{op.Old, op.New} {
				if same, err := Parse(n.String()); err != nil || same != n {
					t.Fatalf("%v is not as Parse makes it: %v", n, err)
				}
			}
		}
		if err := check(ops); err != nil && len(b) <= MaxBytes {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		again, err := readOps(nil, appendOps(nil, ops))
		if err != nil || len(ops) > 0 && !reflect.DeepEqual(again, ops) {
			t.Fatalf("got %v, %v, want %v", again, err, ops)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(appendAnswer(nil, Uint(5), nil))
	f.Add(appendAnswer(nil, Uint(noSmall), nil))
	f.Add(appendAnswer(nil, Number{}, fault.Text(fault.Lost, "swap", "r", "gone")))
	f.Fuzz(func(t *testing.T, b []byte) {
		present, err, malformed := readAnswer(b)
		if malformed != nil {
			return
		}
		again, errAgain, malformed := readAnswer(appendAnswer(nil, present, err))
		if malformed != nil || again != present || (err == nil) != (errAgain == nil) || fault.KindOf(err) != fault.KindOf(errAgain) {
			t.Fatalf("got %v, %v, %v, want %v, %v", again, errAgain, malformed, present, err)
		}
	})
}

// The largest request that check lets pass fits into a frame.
func TestRequest_FitsItsFrame(t *testing.T) {
	long, err := Parse(strings.Repeat("9", MaxDigits))
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]Op, MaxOps)
	for i := range ops {
		ops[i] = Op{Uint(noSmall - 1), Uint(noSmall - 2)}
	}
	for i := range MaxBytes / MaxDigits {
		ops[i].New = long
	}
	if err := check(ops); err != nil {
		t.Fatal(err)
	}
	if n := len(appendOps(nil, ops)); n > maxRequest {
		t.Errorf("%d bytes, the limit is %d", n, maxRequest)
	}
	if _, err := readOps(nil, appendOps(nil, ops)); err != nil {
		t.Error(err)
	}
	_, err, _ = readAnswer(appendAnswer(nil, Number{}, errors.New("x")))
	if fault.KindOf(err) != fault.Internal {
		t.Errorf("got %v", err)
	}
}
