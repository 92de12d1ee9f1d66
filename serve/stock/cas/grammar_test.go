package cas_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

// table are exchanges on a new register. Replies are written without their ends.
var table = []struct {
	in   string
	want []string
}{
	{"", nil},
	{"0 1\n", []string{"0"}},
	{"0 1\r\n", []string{"0"}},
	{"0 1\n1 2\n", []string{"0", "1"}},
	{"0 1\n0 2\n1 3\n", []string{"0", "1", "1"}},
	{"0\n1\n", []string{"B", "B"}},
	{"\n\n 0 1 \n", []string{"B", "B", "0"}},
	{"\n", []string{"B"}},
	{" \t\v\f\r\n", []string{"B"}},
	{" \t\v\f\r0 \t\v\f\r1 \t\v\f\r\n", []string{"0"}},
	{"-1 5\n", []string{"B"}}, {"+0 5\n", []string{"B"}}, {"0x0 1\n", []string{"B"}},
	{"1.5 2\n", []string{"B"}}, {"a b\n", []string{"B"}}, {"0 1 2\n", []string{"B"}},
	{"\x00\n", []string{"B"}}, {"0\x001\n", []string{"B"}}, {"\r\n", []string{"B"}},
	{"0 1\x00\n", []string{"B"}}, {"01\n", []string{"B"}}, {"0 1x\n", []string{"B"}},
	{"0\u00a01\n", []string{"B"}}, {"\u0660 1\n", []string{"B"}}, {"0 :\n", []string{"B"}}, {"0 /\n", []string{"B"}},
	{"2 3 junk\n", []string{"B"}}, {"3 4abc\n", []string{"B"}},
	{"0 7\n007 8\n8 0\n", []string{"0", "7", "8"}},
	{"000 00\n0 1\n", []string{"0", "0"}},
	{"0 1\n\r", []string{"0"}},
	{"0 1\n\r1 2\n\r", []string{"0", "1"}},
	{"0 1\n\r\n", []string{"0", "B"}},
	{"\r", []string{"B"}},
	{"0 1\n\r\r", []string{"0", "B"}},
	{"0 1", []string{"B"}}, // half a line is no operation
	{"0 1\n1 2", []string{"0", "B"}},
	{"0 18446744073709551614\n18446744073709551614 18446744073709551615\n18446744073709551615 18446744073709551616\n18446744073709551616 0\n0 0\n",
		[]string{"0", "18446744073709551614", "18446744073709551615", "18446744073709551616", "0"}},
	{"0 " + nines(30) + "\n" + nines(30) + " " + nines(990) + "\n" + "00" + nines(990) + " 1" + nines(990) + "\n1 1\n",
		[]string{"0", nines(30), nines(990), "1" + nines(990)}},
	{"1" + strings.Repeat("0", 25) + " 5\n0 1\n", []string{"0", "0"}},
	{strings.Repeat("0", 40) + " 1\n" + strings.Repeat("0", 40) + "1 2\n", []string{"0", "1"}},
	{strings.Repeat(" ", 1000) + "0 1\n", []string{"0"}},
	{pad("0 1", cas.MaxLine) + "\n1 1\n", []string{"0", "1"}},
	{pad("0 1", cas.MaxLine+1) + "\n0 2\n", []string{"B", "0"}},
	{pad("0 1", 1_000_000) + "\n0 2\n2 2\n", []string{"B", "0", "2"}},
	{pad("0 1", 1_000_000), []string{"B"}},
}

func replies(want []string) string {
	var b strings.Builder
	for _, w := range want {
		if w == "B" {
			w = cas.BadSyntax
		}
		b.WriteString(w + "\n\r")
	}
	return b.String()
}

func TestServe_AnswersExactly(t *testing.T) {
	for _, test := range table {
		addr, stop := start(t, nil)
		if got, want := talk(t, addr, test.in), replies(test.want); got != want {
			t.Errorf("%s: got %s, want %s", brief(test.in), brief(got), brief(want))
		}
		stop()
	}
}

func TestServe_SegmentsMeanNothing(t *testing.T) {
	for _, test := range table {
		if len(test.in) > 3000 {
			continue
		}
		want := replies(test.want)
		// All bytes alone, and ways to send it in two parts. A pipe's write returns when the
		// server has read it: each is a segment of its own.
		cuts := [][]string{strings.Split(test.in, "")}
		for i := 1; i < len(test.in); i += max(1, len(test.in)/64) {
			cuts = append(cuts, []string{test.in[:i], test.in[i:]})
		}
		for _, segments := range cuts {
			ln, conns := pipes()
			stop := serve(t, ln, nil)
			if got := exchange(t, conns, segments); got != want {
				t.Errorf("%s in %d segments: got %s, want %s", brief(test.in), len(segments), brief(got), brief(want))
			}
			stop()
		}
	}
}

// pipeListener accepts ends of net.Pipe: each write to the other end is one segment.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func pipes() (net.Listener, chan net.Conn) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	return l, l.conns
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// exchange writes each segment to a new pipe. A pipe has no end of input but its close, which
// loses what is unread: halfPipe gives it one.
func exchange(t *testing.T, conns chan net.Conn, segments []string) string {
	t.Helper()
	ours, theirs := net.Pipe()
	in := &halfPipe{Conn: theirs, eof: make(chan struct{})}
	conns <- in
	got := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(ours)
		got <- string(b)
	}()
	for _, s := range segments {
		if _, err := io.WriteString(ours, s); err != nil {
			t.Fatal(err)
		}
	}
	close(in.eof)
	theirs.SetReadDeadline(time.Unix(1, 0))
	return <-got
}

type halfPipe struct {
	net.Conn
	eof chan struct{}
}

func (h *halfPipe) SetReadDeadline(by time.Time) error {
	select {
	case <-h.eof:
		return nil
	default:
		err := h.Conn.SetReadDeadline(by)
		select {
		case <-h.eof: // ours was later: undo
			h.Conn.SetReadDeadline(time.Unix(1, 0))
		default:
		}
		return err
	}
}

func (h *halfPipe) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	select {
	case <-h.eof:
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF
		}
	default:
	}
	return n, err
}

var (
	strict  = regexp.MustCompile(`^[ \t\n\v\f\r]*([0-9]+)[ \t\n\v\f\r]+([0-9]+)[ \t\n\v\f\r]*$`)
	lenient = regexp.MustCompile(`^[ \t\n\v\f\r]*([0-9]+)[ \t\n\v\f\r]+([0-9]+)[ \t\n\v\f\r]*`)
)

// model is the lecture's program: regular expressions and numbers without end.
type model struct{ value big.Int }

func (m *model) line(grammar *regexp.Regexp, line string) string {
	f := grammar.FindStringSubmatch(line)
	if f == nil {
		return cas.BadSyntax
	}
	old, _ := new(big.Int).SetString(f[1], 10)
	next, _ := new(big.Int).SetString(f[2], 10)
	present := m.value.String()
	if m.value.Cmp(old) == 0 {
		m.value.Set(next)
	}
	return present
}

func (m *model) stream(in string, maxLine int) string {
	var b strings.Builder
	lines := strings.SplitAfter(in, "\n")
	for i, line := range lines {
		text, whole := strings.CutSuffix(line, "\n")
		switch {
		case !whole && (text == "" || text == "\r" && i > 0):
			continue
		case !whole || len(text) > maxLine:
			b.WriteString(cas.BadSyntax)
		default:
			b.WriteString(m.line(strict, text))
		}
		b.WriteString("\n\r")
	}
	return b.String()
}

func FuzzLine(f *testing.F) {
	for _, test := range table {
		if len(test.in) < 3000 {
			f.Add(test.in)
		}
	}
	f.Add("3 4abc")
	f.Fuzz(func(t *testing.T, in string) {
		var s, l register.Memory
		var ms, ml model
		for _, line := range strings.Split(in, "\n") {
			got, err := cas.Line(t.Context(), &s, line)
			if want := ms.line(strict, line); got != want || err != nil {
				t.Fatalf("Line(%q): got %q, %v, want %q", line, got, err, want)
			}
			got, err = cas.Lenient(t.Context(), &l, line)
			if want := ml.line(lenient, line); got != want || err != nil {
				t.Fatalf("Lenient(%q): got %q, %v, want %q", line, got, err, want)
			}
		}
		if s.String() != ms.value.String() || s.Value().Big().Cmp(&ms.value) != 0 {
			t.Fatalf("the register holds %s, want %s", &s, &ms.value)
		}
	})
}

func FuzzServe(f *testing.F) {
	for _, test := range table {
		if len(test.in) < 3000 {
			f.Add(test.in, uint64(1))
		}
	}
	const maxLine = 50
	f.Fuzz(func(t *testing.T, in string, cut uint64) {
		ln, conns := pipes()
		stop := serve(t, ln, &cas.Options{MaxLine: maxLine})
		defer stop()
		r := rand.New(rand.NewPCG(cut, 1))
		var segments []string
		for rest := in; rest != ""; {
			n := 1 + r.IntN(len(rest))
			if r.IntN(2) == 0 {
				n = min(n, 3)
			}
			segments, rest = append(segments, rest[:n]), rest[n:]
		}
		got := exchange(t, conns, segments)
		if want := new(model).stream(in, maxLine); got != want {
			t.Fatalf("%q: got %q, want %q", segments, got, want)
		}
	})
}

func FuzzDrive(f *testing.F) {
	f.Add("0 1\n1 2 x\n\n3")
	f.Add(strings.Repeat("0 1 ", 20000) + "\n0 5\n")
	f.Fuzz(func(t *testing.T, in string) {
		var want strings.Builder
		var m model
		for line := range strings.SplitAfterSeq(in, "\n") {
			if line == "" {
				continue
			}
			line = strings.TrimSuffix(line, "\n")
			if len(line) > cas.MaxLine {
				want.WriteString("Bad Syntax\n")
				continue
			}
			want.WriteString(m.line(lenient, line) + "\n")
		}
		var got strings.Builder
		if err := cas.Drive(t.Context(), new(register.Memory), strings.NewReader(in), &got); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Fatalf("%s: got %s, want %s", brief(in), brief(got.String()), brief(want.String()))
		}
	})
}

func TestDrive_AnswersBeforeItWaits(t *testing.T) {
	in, feed := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- cas.Drive(t.Context(), new(register.Memory), in, out) }()
	r := bufio.NewReader(answers)
	for i := range 3 {
		fmt.Fprintf(feed, "%d %d junk\n%d", i, i+1, i)
		if got, err := r.ReadString('\n'); got != fmt.Sprintf("%d\n", i) || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		io.WriteString(feed, "\n")
		if got, err := r.ReadString('\n'); got != "Bad Syntax\n" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	feed.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestReadSettings_SaysWhatIsWrongInPlainWords(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                       "want a JSON object, not an array",
		`7`:                        "want a JSON object, not a number",
		`{"max_line":"x"}`:         "max_line: want a whole number, not a string",
		`{"max_line":1.5}`:         "max_line: want a whole number, not a number 1.5",
		`{"chatter":{}}`:           "chatter: want true or false, not an object",
		`{"register":1}`:           "register: want a string, not a number",
		`{"line_timeout":5}`:       "line_timeout: want a string, not a number",
		`{"line_timeout":"often"}`: `"often" is no duration like 30s or 5m`,
		`{"colour":1}`:             `unknown field "colour"`,
		`{"max_line":`:             "unexpected EOF",
	} {
		if _, err := cas.ReadSettings([]byte(text)); fault.KindOf(err) != fault.Invalid || err.Error() != "cannot read settings: "+want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
