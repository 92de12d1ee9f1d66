package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/universal-server/become/ground/fault"
)

var allKinds = []fault.Kind{fault.Internal, fault.Invalid, fault.NotFound, fault.Conflict, fault.Busy,
	fault.Canceled, fault.Deadline, fault.Lost, fault.Remote, fault.Denied}

func travel(t *testing.T, err error) error {
	t.Helper()
	b := fault.Marshal([]byte("head"), err)
	got, rest, bad := fault.Unmarshal(append(b[4:], "tail"...))
	if bad != nil {
		t.Fatalf("%v did not arrive: %v", err, bad)
	}
	if string(rest) != "tail" {
		t.Errorf("%q is left", rest)
	}
	return got
}

func TestError_ReadsAsOneSentence(t *testing.T) {
	for want, err := range map[string]error{
		"cannot take task 7f3: lease lost": fault.Text(fault.Lost, "take task", "7f3", "lease lost"),
		"cannot take task: lost":           fault.New(fault.Lost, "take task", "", nil),
		"7f3: conflict":                    fault.New(fault.Conflict, "", "7f3", nil),
		"EOF":                              fault.New(fault.Lost, "", "", io.EOF),
		"internal":                         &fault.Error{},
		"denied":                           fault.New(fault.Denied, "", "", nil),
		"cannot a: cannot b c: EOF":        fault.New(fault.Lost, "a", "", fault.New(fault.Remote, "b", "c", io.EOF)),
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKind_NamesAreReadBack(t *testing.T) {
	for i, k := range allKinds {
		if int(k) != i { // they travel
			t.Errorf("%v has number %d, want %d", k, k, i)
		}
		if fault.ParseKind(k.String()) != k {
			t.Errorf("%v is not read back", k)
		}
	}
	if fault.Kind(200).String() != "internal" || fault.ParseKind("nonsense") != fault.Internal {
		t.Error("an unknown kind is not internal")
	}
}

func TestKindOf_LooksAlongTheChain(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{nil, fault.Internal},
		{io.EOF, fault.Internal},
		{context.Canceled, fault.Canceled},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), fault.Deadline},
		{fmt.Errorf("x: %w", fault.New(fault.Busy, "", "", nil)), fault.Busy},
		{fault.New(fault.Remote, "", "", fault.New(fault.Busy, "", "", nil)), fault.Remote},
		{fault.New(fault.Remote, "", "", context.Canceled), fault.Remote},
		{errors.Join(io.EOF, fault.New(fault.Denied, "", "", nil)), fault.Denied},
	} {
		if got := fault.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestWire_EverythingArrives(t *testing.T) {
	inner := fault.New(fault.Busy, "store record", "q.x", io.ErrShortWrite).WithHint("free disk space")
	inner.Stack = "goroutine 1"
	for _, k := range allKinds {
		err := fault.New(k, "run job", "17", inner)
		got := travel(t, err)
		if got.Error() != err.Error() || fault.KindOf(got) != k {
			t.Errorf("%v arrived as %v, kind %v", err, got, fault.KindOf(got))
		}
		if fault.Hint(got) != "free disk space" || fault.Stack(got) != "goroutine 1" {
			t.Errorf("hint %q, stack %q", fault.Hint(got), fault.Stack(got))
		}
		second, ok := errors.AsType[*fault.Error](errors.Unwrap(got))
		if !ok || second.Kind != fault.Busy || second.Op != "store record" || second.ID != "q.x" {
			t.Errorf("its cause arrived as %#v", second)
		}
	}
	if got := travel(t, nil); got != nil {
		t.Errorf("nil arrived as %v", got)
	}
}

func TestWire_ContextErrorsAreRecognized(t *testing.T) {
	for _, target := range []error{context.Canceled, context.DeadlineExceeded} {
		for _, err := range []error{target, fmt.Errorf("x: %w", target), fault.New(fault.Remote, "call", "f", target), fault.New(fault.KindOf(target), "call", "f", nil)} {
			got := travel(t, err)
			if !errors.Is(got, target) {
				t.Errorf("%v arrived as %v: it is not %v", err, got, target)
			}
			if errors.Is(got, context.Canceled) && errors.Is(got, context.DeadlineExceeded) {
				t.Errorf("%v is both", got)
			}
		}
	}
	if got := travel(t, fault.New(fault.Lost, "", "", io.EOF)); errors.Is(got, context.Canceled) {
		t.Errorf("%v is canceled", got)
	}
}

// What stands between two of ours, as fmt.Errorf does, keeps kind, hint and stack.
func TestWire_AWrappedErrorKeepsItsKindHintAndStack(t *testing.T) {
	inner := fault.Text(fault.NotFound, "find function", "f", "no such").WithHint("deploy it")
	inner.Stack = "stack"
	for _, err := range []error{fmt.Errorf("outer: %w", inner), errors.Join(inner, io.EOF), fault.New(fault.Remote, "call", "", fmt.Errorf("outer: %w", inner))} {
		got := travel(t, err)
		if got.Error() != err.Error() || fault.KindOf(got) != fault.KindOf(err) || fault.Hint(got) != "deploy it" || fault.Stack(got) != "stack" {
			t.Errorf("%v arrived as %v, %v, hint %q, stack %q", err, got, fault.KindOf(got), fault.Hint(got), fault.Stack(got))
		}
	}
}

func TestWire_IsBounded(t *testing.T) {
	deep := error(io.EOF)
	for i := range 1000 {
		deep = fault.New(fault.Lost, "step", fmt.Sprint(i), deep)
	}
	got := travel(t, deep)
	if got.Error() != deep.Error() { // the deepest link is the text of all below
		t.Errorf("a chain of 1000 arrived as %.200s", got.Error())
	}
	links := 0
	for e := got; e != nil; e = errors.Unwrap(e) {
		links++
	}
	if links > fault.MaxDepth+1 {
		t.Errorf("%d links arrived", links)
	}
	long := strings.Repeat("ü", fault.MaxText)
	e := &fault.Error{Kind: fault.Remote, Op: long, ID: long, Hint: long, Stack: long, Err: errors.New("x" + long)}
	b := fault.Marshal(nil, e)
	if len(b) > 6*fault.MaxText+100 {
		t.Errorf("%d bytes", len(b))
	}
	if got := travel(t, e); !utf8.ValidString(got.Error()) || len(got.Error()) < 2*fault.MaxText {
		t.Errorf("cut in the middle of a character, or too short: %d", len(got.Error()))
	}
}

type rude struct{}

func (*rude) Error() string { panic("rude") }

func TestWire_TakesErrorsThatPanic(t *testing.T) {
	if got := travel(t, fault.New(fault.Remote, "call", "f", &rude{})); fault.KindOf(got) != fault.Remote {
		t.Errorf("got %v", got)
	}
	var none *fault.Error
	if got := travel(t, none); got == nil || fault.KindOf(got) != fault.Internal {
		t.Errorf("got %v", got)
	}
}

func TestUnmarshal_RefusesWhatIsNoError(t *testing.T) {
	good := fault.Marshal(nil, fault.Text(fault.Busy, "op", "id", "text").WithHint("hint"))
	for n := range len(good) {
		if err, _, bad := fault.Unmarshal(good[:n]); bad == nil {
			t.Errorf("%d bytes of %d are %v", n, len(good), err)
		}
	}
	for _, b := range [][]byte{{17}, {255}, {1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, {1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f},
		append([]byte{1, 0, 0x81, 0x80, 0x04}, make([]byte, fault.MaxText+1)...)} {
		if err, _, bad := fault.Unmarshal(b); bad == nil {
			t.Errorf("%x is %v", b[:min(len(b), 12)], err)
		}
	}
	if err, _, bad := fault.Unmarshal([]byte{1, 99, 0, 0, 0, 0, 0}); bad != nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("an unknown kind: %v, %v", err, bad)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(fault.Marshal(nil, fault.New(fault.Busy, "a", "b", fault.New(fault.Lost, "c", "d", io.EOF))))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		err, rest, bad := fault.Unmarshal(b)
		if bad != nil {
			return
		}
		if !bytes.HasSuffix(b, rest) || len(rest) == len(b) {
			t.Fatalf("%d bytes left of %d", len(rest), len(b))
		}
		if err == nil {
			return
		}
		again, rest, bad := fault.Unmarshal(fault.Marshal(nil, err))
		if bad != nil || len(rest) != 0 || fault.KindOf(again) != fault.KindOf(err) || fault.Hint(again) != fault.Hint(err) {
			t.Fatalf("%v became %v, %v", err, again, bad)
		}
		if len(err.Error()) < fault.MaxText && again.Error() != err.Error() {
			t.Fatalf("%q became %q", err, again)
		}
	})
}
