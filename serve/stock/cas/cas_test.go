package cas_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
	"github.com/universal-server/become/serve/stock/cas"
)

// start serves on a port of its own; stop ends it and waits.
func start(t testing.TB, o *cas.Options) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String(), serve(t, ln, o)
}

func serve(t testing.TB, ln net.Listener, o *cas.Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cas.Serve(ctx, ln, o) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return stop
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.TCPConn)
}

// talk sends the segments, ends the input, and returns all replies.
func talk(t testing.TB, addr string, segments ...string) string {
	t.Helper()
	c := dial(t, addr)
	for _, s := range segments {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	c.Close()
	return string(b)
}

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

func nines(n int) string            { return strings.Repeat("9", n) }
func pad(line string, n int) string { return line + strings.Repeat(" ", n-len(line)) }

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

func brief(s string) string {
	if len(s) > 200 {
		s = s[:90] + "…" + s[len(s)-90:]
	}
	return strconv.Quote(s)
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
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
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

func parse(s string) register.Number {
	n, err := register.Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

// swapper is what a client is too, but that it has one operation at a time.
type swapper interface {
	CAS(ctx context.Context, old, new register.Number) (register.Number, error)
}

// history lets clients call at the same time, and says what they saw. What they store is each time another value.
func history(t *testing.T, clients, calls int, of func(int) swapper) *registertest.History {
	t.Helper()
	h := new(registertest.History)
	var wg sync.WaitGroup
	for id := range clients {
		c := of(id)
		wg.Go(func() {
			guess := register.Uint(0)
			for i := range calls {
				op := register.Op{Old: guess, New: parse(fmt.Sprintf("%d%0*d", id+1, 3+i%3*9, i))}
				now, err := h.Record(id, []register.Op{op}, func() (register.Number, error) { return c.CAS(t.Context(), op.Old, op.New) })
				if err != nil {
					t.Error(err)
					return
				}
				guess = op.After(now)
			}
		})
	}
	wg.Wait()
	return h
}

func TestServe_ManyConnectionsShareOneLinearizableRegister(t *testing.T) {
	for range 3 {
		addr, stop := start(t, nil)
		history(t, 8, 75, func(int) swapper { return client(t, addr) }).Check(t, porcupine.Ok)
		stop()
	}
}

// Two registers are not one: the check sees it.
func TestServe_ARegisterPerServerIsNotLinearizable(t *testing.T) {
	a, _ := start(t, nil)
	b, _ := start(t, nil)
	history(t, 8, 50, func(id int) swapper { return client(t, []string{a, b}[id%2]) }).Check(t, porcupine.Illegal)
}

func client(t testing.TB, addr string) *cas.Client {
	t.Helper()
	c, err := cas.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServe_AMillionOperationsOnOneConnection(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	addr, _ := start(t, nil)
	c := dial(t, addr)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		w := bufio.NewWriterSize(c, 60_000)
		var line []byte
		for i := range n {
			// Every tenth fails; the others count.
			old := uint64(i - i/10)
			if i%10 == 9 {
				old++
			}
			line = strconv.AppendUint(line[:0], old, 10)
			line = append(line, ' ')
			line = strconv.AppendUint(line, old+1, 10)
			w.Write(append(line, '\n'))
		}
		w.Flush()
		c.CloseWrite()
	})
	r := bufio.NewReaderSize(c, 60_000)
	var want []byte
	for i := range n {
		got, err := r.ReadSlice('\r')
		want = append(strconv.AppendUint(want[:0], uint64(i-i/10), 10), '\n', '\r')
		if err != nil || !bytes.Equal(got, want) {
			c.Close()
			t.Fatalf("operation %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestServe_AResetEndsOnlyItsConnection(t *testing.T) {
	addr, _ := start(t, nil)
	other := client(t, addr)
	for range 50 {
		c := dial(t, addr)
		io.WriteString(c, "0 0\n0 0\n0 ")
		c.SetLinger(0)
		c.Close()
		if got, err := other.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(0) || err != nil {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}

func TestServe_GarbageIsBadSyntax(t *testing.T) {
	addr, _ := start(t, nil)
	r := rand.NewChaCha8([32]byte{1})
	garbage := make([]byte, 1<<20)
	r.Read(garbage)
	c := dial(t, addr)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c.Write(garbage)
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	if want := new(model).stream(string(garbage), cas.MaxLine); string(got) != want || err != nil {
		t.Errorf("got %d bytes of replies, %v, want %d", len(got), err, len(want))
	}
}

func TestServe_APeerThatNeverReadsCostsLittleAndHoldsUpNobody(t *testing.T) {
	const peers = 20
	addr, _ := start(t, nil)
	big := nines(60_000)
	setter := client(t, addr)
	if _, err := setter.CAS(t.Context(), register.Uint(0), parse(big)); err != nil {
		t.Fatal(err)
	}
	before := heap()
	var wg sync.WaitGroup
	for range peers {
		c := dial(t, addr)
		wg.Go(func() {
			// Each reply is 60 kB: the peer's writes stand still when the server's do.
			c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			line := []byte(strings.Repeat("1 1\n", 10_000))
			for range 1000 {
				if _, err := c.Write(line); err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
					return
				}
			}
			t.Error("40 MB of lines went through that nobody reads the answers to")
		})
	}
	wg.Wait()
	if grown := heap() - before; grown > peers*700_000 {
		t.Errorf("%d peers cost %d bytes", peers, grown)
	}
	if got, err := setter.CAS(t.Context(), parse(big), register.Uint(5)); got != parse(big) || err != nil {
		t.Errorf("the others: %v", err)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestServe_APeerThatIsNotInTimeLosesItsConnection(t *testing.T) {
	for name, test := range map[string]struct {
		o    cas.Options
		send string
		want string
	}{
		"silent":       {cas.Options{IdleTimeout: time.Millisecond}, "", ""},
		"half a line":  {cas.Options{LineTimeout: time.Millisecond}, "0 1\n1 ", "0\n\r"},
		"endless line": {cas.Options{LineTimeout: 200 * time.Millisecond, MaxLine: 10}, "0 1\n11111111111111111111", "0\n\r"},
		"silent after CR": {cas.Options{LineTimeout: time.Nanosecond, IdleTimeout: 50 * time.Millisecond},
			"0 1\n\r", "0\n\r"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, &test.o)
			c := dial(t, addr)
			io.WriteString(c, test.send)
			got, _ := io.ReadAll(c) // until the server closes, or resets
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestServe_APeerThatDoesNotReadInTimeLosesItsConnection(t *testing.T) {
	addr, _ := start(t, &cas.Options{WriteTimeout: 50 * time.Millisecond})
	c := dial(t, addr)
	line := []byte(strings.Repeat("1 1\n", 10_000))
	for {
		if _, err := c.Write(line); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("still open: %v", err)
			}
			return
		}
	}
}

func TestServe_MoreThanTheCapWait(t *testing.T) {
	addr, _ := start(t, &cas.Options{MaxConns: 2})
	a, b, c := dial(t, addr), client(t, addr), dial(t, addr)
	talkOn := func(c net.Conn) { // one exchange: it is accepted
		io.WriteString(c, "7 7\n")
		if _, err := bufio.NewReader(c).ReadString('\r'); err != nil {
			t.Fatal(err)
		}
	}
	talkOn(a)
	if _, err := b.CAS(t.Context(), register.Uint(0), register.Uint(1)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "1 2\n") // waits
	if got, err := b.CAS(t.Context(), register.Uint(1), register.Uint(1)); got != register.Uint(1) || err != nil {
		t.Fatalf("the third is served already: %v, %v", got, err)
	}
	a.Close()
	if got, err := bufio.NewReader(c).ReadString('\r'); got != "1\n\r" || err != nil {
		t.Errorf("the third got %q, %v", got, err)
	}
}

func TestServe_DrainsWithoutLosingAReply(t *testing.T) {
	addr, stop := start(t, nil)
	const peers = 20
	var conns []*net.TCPConn
	for range peers {
		conns = append(conns, dial(t, addr))
	}
	idle := client(t, addr)
	if _, err := idle.CAS(t.Context(), register.Uint(0), register.Uint(0)); err != nil {
		t.Fatal(err)
	}
	// Their lines are under way when the context ends.
	for _, c := range conns {
		io.WriteString(c, "0 0\n0 0\n0 0")
	}
	done := make(chan error, 1)
	go func() { done <- stop() }()
	for i, c := range conns {
		got, err := io.ReadAll(c)
		if string(got) != "0\n\r0\n\r" || err != nil {
			t.Errorf("peer %d got %q, %v", i, got, err)
		}
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := idle.CAS(t.Context(), register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Lost {
		t.Errorf("after the end: %v", err)
	}
	if _, err := cas.Dial(t.Context(), addr); fault.KindOf(err) != fault.Lost {
		t.Errorf("after the end one connects: %v", err)
	}
}

func TestServe_ABusyPeerIsAnsweredToTheLastLineRead(t *testing.T) {
	addr, stop := start(t, nil)
	c := dial(t, addr)
	r := bufio.NewReader(c)
	var asked, answered int
	for err := error(nil); err == nil; answered++ {
		if answered == 10 {
			go stop()
		}
		asked++
		fmt.Fprintf(c, "%d %d\n", answered, answered+1)
		var got string
		if got, err = r.ReadString('\r'); err == nil && got != fmt.Sprintf("%d\n\r", answered) {
			t.Fatalf("got %q at %d", got, answered)
		} else if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("the connection ended with %v", err)
		}
	}
	c.Close()
	if answered < 10 || asked != answered {
		t.Errorf("%d asked, %d answered", asked, answered)
	}
}

// stuck is a register far away that does not answer.
type stuck chan struct{}

func (s stuck) Swap(ctx context.Context, _ []register.Op) (register.Number, error) {
	close(s)
	<-ctx.Done()
	return register.Number{}, ctx.Err()
}

func TestServe_CutsWhatIsOpenAfterTheDeadline(t *testing.T) {
	s := make(stuck)
	addr, stop := start(t, &cas.Options{Register: s, DrainTimeout: time.Millisecond})
	c := dial(t, addr)
	io.WriteString(c, "0 1\n")
	<-s
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// broken fails at one value, and counts.
type broken struct {
	register.Memory
	calls atomic.Int64
}

func (b *broken) Swap(ctx context.Context, ops []register.Op) (register.Number, error) {
	b.calls.Add(1)
	for _, op := range ops {
		if op.New == register.Uint(13) {
			return register.Number{}, errors.New("far away")
		}
	}
	return b.Memory.Swap(ctx, ops)
}

func TestServe_ARegisterThatFailsGetsNoReply(t *testing.T) {
	reg := new(broken)
	addr, _ := start(t, &cas.Options{Register: reg})
	// The line that is no operation parts two batches: the first is answered, of the second nobody knows.
	if got := talkUntilClosed(t, addr, "0 1\n1 2\nx\n2 3\n2 13\n1 2\nx\n"); got != "0\n\r1\n\rBad Syntax\n\r" {
		t.Errorf("got %q", got)
	}
	if reg.String() != "2" {
		t.Errorf("the register holds %s", &reg.Memory)
	}
}

func TestServe_LinesThatComeTogetherAreDoneTogether(t *testing.T) {
	reg := new(broken)
	addr, _ := start(t, &cas.Options{Register: reg})
	const lines = 10_000
	if got := talk(t, addr, strings.Repeat("0 0\n", lines)); got != strings.Repeat("0\n\r", lines) {
		t.Errorf("got %d bytes", len(got))
	}
	if got := reg.calls.Load(); got > lines/50 {
		t.Errorf("%d calls for %d lines", got, lines)
	}
}

func talkUntilClosed(t *testing.T, addr, in string) string {
	c := dial(t, addr)
	io.WriteString(c, in)
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestServe_AListenerThatIsClosedEndsIt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := cas.Serve(t.Context(), ln, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// tired fails a few times before it accepts.
type tired struct {
	net.Listener
	left int
}

type shortage struct{}

func (shortage) Error() string   { return "too many open files" }
func (shortage) Temporary() bool { return true }

func (l *tired) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: shortage{}}
	}
	return l.Listener.Accept()
}

func TestServe_AShortageOfDescriptorsPasses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &tired{ln, 3}, nil)
	if got := talk(t, ln.Addr().String(), "0 1\n"); got != "0\n\r" {
		t.Errorf("got %q", got)
	}
}

func TestClient_CallsTravelTogether(t *testing.T) {
	addr, _ := start(t, nil)
	c := client(t, addr)
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			present := register.Uint(0)
			for range 40 {
				for {
					i := present.Big()
					next, _ := register.FromBig(i.Add(i, big.NewInt(1)))
					now, err := c.CAS(t.Context(), present, next)
					if err != nil {
						t.Error(err)
						return
					}
					if now == present {
						wins.Add(1)
						break
					}
					present = now
				}
			}
		})
	}
	wg.Wait()
	if got, err := c.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(2000) || wins.Load() != 2000 || err != nil {
		t.Errorf("%d wins make %v, %v", wins.Load(), got, err)
	}
}

func TestClient_SaysWhatBecameOfACall(t *testing.T) {
	addr, stop := start(t, &cas.Options{MaxLine: 100})
	c := client(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CAS(ctx, register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Canceled {
		t.Errorf("canceled: %v", err)
	}
	if _, err := c.CAS(t.Context(), register.Uint(0), parse(nines(100))); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too long: %v", err)
	}
	if got, err := c.CAS(t.Context(), register.Uint(0), register.Uint(0)); got != register.Uint(0) || err != nil {
		t.Errorf("then %v, %v", got, err)
	}
	stop()
	if _, err := c.CAS(t.Context(), register.Uint(0), register.Uint(1)); fault.KindOf(err) != fault.Lost {
		t.Errorf("lost: %v", err)
	}
	if _, err := cas.Dial(ctx, addr); fault.KindOf(err) != fault.Canceled {
		t.Errorf("canceled dial: %v", err)
	}
}

func TestClient_LeavesAServerThatTalksNonsense(t *testing.T) {
	for _, answer := range []string{"x\n\r", "-1\n\r", "0\n\r0\n\r0\n\r", strings.Repeat("9", 3<<20)} {
		ours, theirs := net.Pipe()
		c := cas.NewClient(ours)
		go func() {
			bufio.NewReader(theirs).ReadString('\n')
			io.WriteString(theirs, answer)
		}()
		first, err := c.CAS(t.Context(), register.Uint(0), register.Uint(1))
		if answer[0] == '0' {
			if err != nil || first != register.Uint(0) {
				t.Errorf("got %v, %v", first, err)
			}
			_, err = c.CAS(t.Context(), register.Uint(0), register.Uint(1))
		}
		if fault.KindOf(err) != fault.Lost {
			t.Errorf("%s: %v", brief(answer), err)
		}
		c.Close()
		theirs.Close()
	}
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

func TestServe_Chatters(t *testing.T) {
	var out bytes.Buffer
	addr, stop := start(t, &cas.Options{Chatter: &out})
	talk(t, addr, "0 1\r\n", "x\x1b[2J\xff\n\t1 2\n", strings.Repeat("9", 300)+"\n", "half")
	stop()
	peer, rest, _ := strings.Cut(out.String(), "\n")
	if !regexp.MustCompile(`^Connection from  \('127\.0\.0\.1', \d+\)$`).MatchString(peer) {
		t.Errorf("got %q", peer)
	}
	if want := "0 1\nx?[2J?\n\t1 2\n" + strings.Repeat("9", 200) + "…\n"; rest != want {
		t.Errorf("got %q, want %q", rest, want)
	}
}
