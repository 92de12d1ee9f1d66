//go:build linux || darwin

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/reexec"
)

func init() {
	helpers["slow"], helpers["greedy"] = slowHelper, greedyHelper
	for name, f := range map[string]func() error{"replaced": replacedHelper, "undone": undoneHelper, "exits": exitsHelper, "held": heldHelper} {
		helpers[name] = func([]string) {
			os.Exit(reexec.Main(func() int { must(f()); return 0 }))
		}
	}
	if os.Getenv(helperEnv) != "" {
		runtime.LockOSThread()
	}
}

// startPrinting starts a child whose end is the end of what it prints.
func startPrinting(t *testing.T, spec process.Spec) (*process.Process, lines) {
	t.Helper()
	out := newLines()
	spec.Stdout = out
	p := start(t, spec)
	go func() { // ends with the child, which the test ends
		<-p.Done()
		out.Close()
	}()
	return p, out
}

// slowHelper prints half a line; at each byte from its parent two whole ones, and exits with the byte "x".
func slowHelper([]string) {
	conn, err := process.Inherited(3)
	must(err)
	fmt.Print("half ")
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, b); err != nil || b[0] == 'x' {
			os.Exit(7)
		}
		fmt.Fprintf(os.Stdout, "line %c\n", b[0])
		fmt.Fprintf(os.Stderr, "complaint %c\n", b[0])
		conn.Write(b)
	}
}

// following is the state of a program that is replaced by itself.
type following struct {
	Round, Life int
	Children    []process.State
}

// adopted is what every program of these tests begins with.
func adopted(stdout io.Writer) (f following, children []*process.Process, life *os.File) {
	in, err := reexec.Received()
	must(err)
	if in == nil {
		return f, nil, os.NewFile(3, "life")
	}
	must(in.State(&f))
	life, err = in.File(f.Life)
	must(err)
	for _, s := range f.Children {
		p, err := process.Adopt(s, in, stdout, stdout)
		must(err)
		children = append(children, p)
	}
	in.Done()
	return f, children, life
}

func (f following) exec(children []*process.Process, life *os.File) error {
	var out reexec.Out
	var err error
	f.Round++
	f.Children = nil
	if f.Life, err = out.Add(life); err != nil {
		return err
	}
	for _, p := range children {
		s, err := p.Handover(context.Background(), &out)
		if err != nil {
			return err
		}
		f.Children = append(f.Children, s)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return reexec.Exec(exe, os.Args, f, &out)
}

func startHelper(name string, life *os.File, stdout io.Writer) *process.Process {
	exe, err := os.Executable()
	must(err)
	spec := process.Spec{Path: exe, Env: helperEnviron(name), Stdout: stdout, Stderr: stdout, Control: true}
	if life != nil {
		spec.ExtraFiles = []*os.File{life}
	}
	if confine.Supported {
		spec.Confine.Limits.OpenFiles = 99
	}
	p, err := process.Start(context.Background(), spec)
	must(err)
	return p
}

// replacedHelper is replaced by itself as often as its argument says, each time with one more child,
// asks each child for a line in each round, and stays.
func replacedHelper() error {
	rounds, err := strconv.Atoi(os.Args[1])
	must(err)
	f, children, life := adopted(os.Stdout)
	if len(children) < 3 {
		children = append(children, startHelper("slow", life, os.Stdout))
	}
	for _, p := range children {
		if held := p.Held(); confine.Supported && !slices.Equal(held, []string{"99 open files"}) {
			return fmt.Errorf("round %d: held by %q", f.Round, held)
		}
	}
	fmt.Println("\nround", f.Round, os.Getpid(), numberOfFiles(), pids(children))
	for i, p := range children { // the first of round i
		_, err := fmt.Fprint(p.Control(), f.Round%10)
		must(err)
		if f.Round%2 == 0 { // in the others the answer comes while the program changes
			_, err = io.ReadFull(p.Control(), make([]byte, min(2, 1+f.Round-i)))
			must(err)
		}
	}
	if f.Round == rounds {
		fmt.Println("\nlast")
		select {}
	}
	return f.exec(children, life)
}

func numberOfFiles() int {
	entries, _ := os.ReadDir("/dev/fd")
	return len(entries)
}

func pids(children []*process.Process) string {
	var all []string
	for _, p := range children {
		all = append(all, strconv.Itoa(p.PID()))
	}
	return strings.Join(all, ",")
}

func TestHandover_ChildrenLiveThroughManyPrograms(t *testing.T) {
	const rounds = 20
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := helper(t, "replaced", strconv.Itoa(rounds))
	spec.ExtraFiles = []*os.File{w}
	p, out := startPrinting(t, spec)
	w.Close()
	round, files, family, last := 0, 0, "", false
	// Each child answers in each round from its first on: nothing is lost, nor torn.
	for missing := 2 * (rounds + 1 + rounds + rounds - 1); missing > 0 || !last; {
		line := strings.TrimSpace(strings.ReplaceAll(out.next(t), "half ", ""))
		f := strings.Fields(line)
		switch {
		case line == "last":
			last = true
		case len(f) == 2 && (f[0] == "line" || f[0] == "complaint"):
			missing--
		case len(f) == 5 && f[0] == "round":
			if f[1] != strconv.Itoa(round) || f[2] != strconv.Itoa(p.PID()) {
				t.Errorf("got %q in round %d of process %d", line, round, p.PID())
			}
			if !strings.HasPrefix(f[4], family) {
				t.Errorf("got children %s after %s", f[4], family)
			}
			if n, _ := strconv.Atoi(f[3]); round == 3 {
				files = n
			} else if round > 3 && n > files+2 { // the runtime may be looking at the machine
				t.Errorf("got %d open files in round %d, %d in round 3", n, round, files)
			}
			family = f[4]
			round++
		case line != "":
			t.Errorf("got %q", line)
		}
	}
	if n := strings.Count(family, ","); n != 2 {
		t.Errorf("got children %s, want three", family)
	}
	if runtime.GOOS != "linux" {
		return // nothing kills the children there
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	r.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want all children dead with the program", err)
	}
}

// exitsHelper has a child that ends while the program changes, and one that did before.
func exitsHelper() error {
	f, children, life := adopted(io.Discard)
	if f.Round > 0 {
		for _, p := range children {
			<-p.Done()
			fmt.Println(p.Exit().Reason, p.Kill())
		}
		_, err := process.Adopt(process.State{PID: 1, Name: "init"}, nil, nil, nil)
		fmt.Println(fault.KindOf(err))
		return nil
	}
	dead := startHelper("slow", life, io.Discard)
	io.WriteString(dead.Control(), "x")
	<-dead.Done()
	_, err := dead.Handover(context.Background(), new(reexec.Out))
	fmt.Println(fault.KindOf(err))

	dying := startHelper("slow", life, io.Discard)
	s, err := dying.Handover(context.Background(), new(reexec.Out))
	must(err)
	if _, err = dying.Handover(context.Background(), new(reexec.Out)); fault.KindOf(err) != fault.Conflict {
		return fmt.Errorf("handed over twice: %w", err)
	}
	io.WriteString(dying.Control(), "x")
	io.Copy(io.Discard, dying.Control()) // its end
	f = following{Round: 1, Children: []process.State{s}}
	// What follows is exec without a second Handover.
	var out reexec.Out
	f.Life, err = out.Add(life)
	must(err)
	f.Children[0].Control, f.Children[0].Stdout, f.Children[0].Stderr = 0, 0, 0
	exe, err := os.Executable()
	must(err)
	return reexec.Exec(exe, os.Args, f, &out)
}

func TestHandover_TheEndOfAChildIsSeenByTheNextProgram(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	spec := helper(t, "exits")
	spec.ExtraFiles = []*os.File{w}
	_, out := startPrinting(t, spec)
	for _, want := range []string{"lost", "exit status 7 <nil>", "lost"} {
		if got := strings.TrimSpace(out.next(t)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// greedyHelper waits for a byte from its parent and takes all the memory it can get.
func greedyHelper([]string) {
	conn, err := process.Inherited(3)
	must(err)
	io.ReadFull(conn, make([]byte, 1))
	var all [][]byte
	for range 4096 {
		all = append(all, bytes.Repeat([]byte{1}, 1<<20))
	}
	fmt.Println(len(all), "MiB") // they are used
}

// heldHelper has a child with a limit, which it meets after the program has changed.
func heldHelper() error {
	f, children, life := adopted(io.Discard)
	if f.Round > 0 {
		io.WriteString(children[0].Control(), "x")
		<-children[0].Done()
		fmt.Println(children[0].Exit().Limit)
		return nil
	}
	exe, err := os.Executable()
	must(err)
	p, err := process.Start(context.Background(), process.Spec{
		Path: exe, Env: helperEnviron("greedy"), Control: true, Confine: confine.Rules{Limits: confine.Limits{Memory: 256 << 20}},
	})
	must(err)
	return f.exec([]*process.Process{p}, life)
}

func TestHandover_LimitsHoldInTheNextProgram(t *testing.T) {
	if !confine.Supported {
		t.Skip("processes are held to limits on Linux")
	}
	spec := helper(t, "held")
	spec.ExtraFiles = []*os.File{os.Stderr} // its life
	_, out := startPrinting(t, spec)
	if got, want := strings.TrimSpace(out.next(t)), "over its memory limit of 256 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stuck is a writer that blocks until it is let go.
type stuck struct{ writes, free chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	s.writes <- struct{}{}
	<-s.free
	return len(b), nil
}

// chunks is a writer whose bytes are read elsewhere.
type chunks chan string

func (c chunks) Write(b []byte) (int, error) {
	c <- string(b)
	return len(b), nil
}

// undoneHelper hands a child over and takes it back.
func undoneHelper() error {
	out := make(chunks, 64)
	p := startHelper("slow", nil, out)
	for want := range 3 {
		_, err := p.Handover(context.Background(), new(reexec.Out))
		must(err)
		fmt.Fprint(p.Control(), want)
		_, err = io.ReadFull(p.Control(), make([]byte, 1)) // it has printed
		must(err)
		for len(out) > 0 {
			if text := <-out; strings.Contains(text, strconv.Itoa(want)) {
				return fmt.Errorf("read during the handover: %q", text)
			}
		}
		p.TakeBack()
		p.TakeBack()
		for text := ""; !strings.Contains(text, "line "+strconv.Itoa(want)+"\n"); {
			text += <-out
		}
	}
	_, err := p.Handover(context.Background(), new(reexec.Out))
	must(err)
	io.WriteString(p.Control(), "x")
	io.Copy(io.Discard, p.Control())
	select {
	case <-p.Done():
		return errors.New("its end was seen during the handover")
	default:
	}
	p.TakeBack()
	<-p.Done()
	fmt.Println(p.Exit().Code)

	s := stuck{make(chan struct{}, 9), make(chan struct{})}
	p = startHelper("slow", nil, s)
	<-s.writes
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = p.Handover(ctx, new(reexec.Out))
	fmt.Println(fault.KindOf(err))
	close(s.free)
	io.WriteString(p.Control(), "x")
	<-p.Done()
	fmt.Println(p.Exit().Code)
	return nil
}

func TestHandover_CanBeUndone(t *testing.T) {
	_, out := startPrinting(t, helper(t, "undone"))
	for _, want := range []string{"7", "deadline", "7"} {
		if got := strings.TrimSpace(out.next(t)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHandover_NeedsTheMainThread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("children do not die with a thread elsewhere")
	}
	p := start(t, helper(t, "stay"))
	if _, err := p.Handover(t.Context(), new(reexec.Out)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want a refusal: the child would be killed", err)
	}
}
