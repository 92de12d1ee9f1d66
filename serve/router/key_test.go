package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
)

func TestParse(t *testing.T) {
	for _, text := range []string{"least", "ip", "line", "header:X-Session", "header:cookie"} {
		p, err := Parse(text)
		if err != nil || p.String() != text {
			t.Errorf("got %v, %v, want %s", p, err, text)
		}
		if reads := text != "least" && text != "ip"; p.Reads() != reads {
			t.Errorf("%s: Reads is %v", text, p.Reads())
		}
	}
	for _, text := range []string{"", "most", "Least", "header", "header:", "header:a b", "header:a:b", "header:ü", "header:" + strings.Repeat("x", 300)} {
		if p, err := Parse(text); fault.KindOf(err) != fault.Invalid || fault.Hint(err) == "" {
			t.Errorf("%q: got %v, %v", text, p, err)
		}
	}
}

// findIn finds a key in a text that comes in pieces of a size.
func findIn(p Policy, text string, size int) string {
	f := finder{policy: p}
	for n := 0; ; n = min(n+size, len(text)) {
		if key, done := f.find([]byte(text[:n]), n == len(text)); done {
			return string(key)
		}
		if n == len(text) {
			return "not done"
		}
	}
}

func TestFinder(t *testing.T) {
	for _, one := range []struct{ policy, text, want string }{
		{"line", "hello\nworld\n", "hello"},
		{"line", "hello\r\n", "hello"},
		{"line", "hello", "hello"},
		{"line", "\nhello\n", ""},
		{"line", "", ""},
		{"line", "\xff\x00\n", "\xff\x00"},
		{"header:X-Key", "GET / HTTP/1.1\r\nHost: a\r\nX-Key: one\r\n\r\n", "one"},
		{"header:X-Key", "GET / HTTP/1.1\r\nx-kEY:\t two words \r\nX-Key: other\r\n\r\n", "two words"},
		{"header:X-Key", "\r\n\r\nGET / HTTP/1.1\nX-Key: lf\n\n", "lf"},
		{"header:X-Key", "X-Key: in the request line\r\n\r\nX-Key: in the body\r\n", ""},
		{"header:X-Key", "GET / HTTP/1.1\r\n\r\nX-Key: in the body\r\n", ""},
		{"header:X-Key", "GET / HTTP/1.1\r\nX-Key:\r\n\r\n", ""},
		{"header:X-Key", "GET / HTTP/1.1\r\nX-Keys: 1\r\nX-Ke: 2\r\n X-Key: 3\r\n\r\n", ""},
		{"header:X-Key", "GET / HTTP/1.1\r\nX-Key: cut off", "cut off"},
		{"header:X-Key", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		{"header:X-Key", "\x16\x03\x01\x00\xa5garbage", ""},
	} {
		p, err := Parse(one.policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 2, 7, 1000} {
			if got := findIn(p, one.text, size); got != one.want {
				t.Errorf("%s in %q by %d: got %q, want %q", one.policy, one.text, size, got, one.want)
			}
		}
	}
}

// FuzzFinder checks that it does not matter in which pieces a text comes.
func FuzzFinder(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nX-Key: one\r\n\r\nbody", 3, true)
	f.Add("hello\nworld", 1, false)
	f.Add("\r\n\r\n\n:\n", 2, true)
	f.Fuzz(func(t *testing.T, text string, size int, header bool) {
		p := Policy{by: "line"}
		if header {
			p = Policy{"header", "X-Key"}
		}
		size = min(max(size, 1), len(text)+1)
		whole, pieces := findIn(p, text, len(text)+1), findIn(p, text, size)
		if whole != pieces || !strings.Contains(text, whole) {
			t.Errorf("%q at once gives %q, by %d %q", text, whole, size, pieces)
		}
	})
}

func TestRank_OneMoreOrLessMovesFewKeys(t *testing.T) {
	const keys = 10_000
	owner := func(key uint64, numbers ...int) (best int) {
		for _, n := range numbers {
			if best == 0 || rank(key, n) > rank(key, best) {
				best = n
			}
		}
		return best
	}
	owned, moved, back := map[int]int{}, 0, 0
	for i := range keys {
		key := hash(fmt.Append(nil, "client ", i))
		before := owner(key, 1, 2, 3, 4, 5)
		owned[before]++
		if without := owner(key, 1, 2, 4, 5); without != before {
			moved++
			if before != 3 {
				t.Errorf("the key of process %d moved when process 3 left", before)
			}
		}
		if more := owner(key, 1, 2, 3, 4, 5, 6); more != before {
			back++
			if more != 6 {
				t.Errorf("a key moved to process %d when process 6 came", more)
			}
		}
	}
	for n, count := range owned {
		if count < keys/5*9/10 || count > keys/5*11/10 {
			t.Errorf("process %d has %d of %d keys", n, count, keys)
		}
	}
	if moved != owned[3] || back < keys/6*9/10 || back > keys/6*11/10 {
		t.Errorf("%d keys moved from process 3, which had %d; %d moved to a sixth", moved, owned[3], back)
	}
}
