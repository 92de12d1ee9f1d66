package slogs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
)

var (
	crunch = slogs.Object{Addr: 0x10, Name: "crunch", State: "READY"}
	at     = time.Date(2024, 9, 19, 13, 28, 32, 162_999_999, time.UTC)
)

// logged is the line of a record.
func logged(t *testing.T, o slogs.Options, ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) string {
	t.Helper()
	var out bytes.Buffer
	if o.Level == nil {
		o.Level = slogs.LevelDebug
	}
	r := slog.NewRecord(at, level, text, 0)
	r.AddAttrs(attrs...)
	if err := slogs.New(&out, &o).Handle(ctx, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSeed_IsTheLine(t *testing.T) {
	plain := slogs.Options{PID: 205791, Object: slogs.Object{Addr: 1, Name: "crunch"}}
	for _, c := range []struct {
		want  string
		level slog.Level
		text  string
		attrs []slog.Attr
	}{
		{"[00205791] 2024-09-19T13:28:32.162 + <00000010>crunch[READY] - Created by <00000001>\n", slogs.LevelObject,
			"Created by " + slogs.Address(slogs.Process), []slog.Attr{slogs.Created.Attr(), crunch.Attr()}},
		{"[00205791] 2024-09-19T13:28:32.162 ^ <00000001>crunch - ready port=5051 host=\"\" why=\"a b\"\n", slogs.LevelConsole,
			"ready", []slog.Attr{slog.Int("port", 5051), slog.String("host", ""), slog.Any("why", errors.New("a b"))}},
		{"[00205791] 2024-09-19T13:28:32.162 ! <00000001>crunch - one\\ntwo\\r\\x1b[31m \u00e9 \ufffd\\u2028 C:\\n\n", slogs.LevelFault,
			"one\ntwo\r\x1b[31m \u00e9 \xff\u2028 C:\\n\n", nil},
		{"[00205791] 2024-09-19T13:28:32.162 ? <00000001>crunch - w g.k=\"1\\n\" g.h.x=2s\n", slogs.LevelWarning, "w",
			[]slog.Attr{slog.Group("g", "k", "1\n", slog.Group("h", "x", 2*time.Second))}},
		{"[00205791] 2024-09-19T13:28:32.162 ~ <00000001>crunch - t\n", slogs.LevelTrace, "t", nil},
		{"[00205791] 2024-09-19T13:28:32.162 ~ <00000001>crunch - o\n", slogs.LevelObject, "o", nil},
		{"[00205791] 2024-09-19T13:28:32.162 _ <00000001>crunch - d at=2024-09-19T13:28:32.162999999Z\n", slogs.LevelDebug, "d",
			[]slog.Attr{slog.Time("at", at)}},
		{"[00205791] 2024-09-19T13:28:32.162 ! <00000002>a_b_c - n\n", slogs.LevelFault + 4, "n",
			[]slog.Attr{slogs.Object{Addr: 2, Name: "a b]c"}.Attr()}},
	} {
		got := logged(t, plain, t.Context(), c.level, c.text, c.attrs...)
		if got != c.want {
			t.Errorf("\n got %q\nwant %q", got, c.want)
		}
		if l, ok := slogs.Parse(strings.TrimSuffix(got, "\n")); !ok || l.PID != 205791 || !l.Time.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("%q is read as %+v, %v", got, l, ok)
		}
	}
	stored := logged(t, slogs.Options{}, slogs.With(t.Context(), crunch), slogs.LevelConsole, "ready")
	if want := "2024-09-19T13:28:32.162 ^ <00000010>crunch[READY] - ready\n"; stored != want {
		t.Errorf("got %q, want %q", stored, want)
	}
	l, ok := slogs.Parse(strings.TrimSpace(stored))
	if want := (slogs.Line{Time: at.Truncate(time.Millisecond), Tag: slogs.Console, Object: crunch, Text: "ready"}); !ok || l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
}

func TestSeed_ObjectsOfTheRecordGoFirst(t *testing.T) {
	var out bytes.Buffer
	own, other := slogs.Object{Addr: 2, Name: "own"}, slogs.Object{Addr: 3, Name: "other"}
	log := slog.New(slogs.New(&out, &slogs.Options{Object: crunch}))
	ctx := slogs.With(t.Context(), own)
	log.With(other.Attr()).InfoContext(ctx, "handler", other.Attr())
	log.With(other.Attr(), "k", 1).WithGroup("g").InfoContext(ctx, "logger", "x", 2)
	log.InfoContext(ctx, "context")
	log.Info("none")
	var got []string
	for text := range strings.Lines(out.String()) {
		got = append(got, strings.TrimSpace(text[len("2024-09-19T13:28:32.162 "):]))
	}
	want := []string{"^ <00000003>other - handler", "^ <00000003>other - logger k=1 g.x=2", "^ <00000002>own - context", "^ <00000010>crunch[READY] - none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestStructured_Conforms runs the standard's own tests of handlers.
func TestStructured_Conforms(t *testing.T) {
	var out bytes.Buffer
	results := func() (all []map[string]any) {
		for text := range bytes.Lines(out.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	}
	if err := slogtest.TestHandler(slogs.New(&out, &slogs.Options{Format: slogs.JSON, PID: 7}), results); err != nil {
		t.Error(err)
	}
}

func TestStructured_SaysTagAndObject(t *testing.T) {
	o := slogs.Options{Format: slogs.JSON, PID: 7, Object: crunch}
	got := logged(t, o, t.Context(), slogs.LevelObject, "Created", slogs.Created.Attr())
	want := `{"time":"2024-09-19T13:28:32.162999999Z","level":"OBJECT","msg":"Created","pid":7,"tag":"+","object":"<00000010>crunch[READY]"}` + "\n"
	if got != want {
		t.Errorf("got %s", got)
	}
	o.Format = slogs.Text
	got = logged(t, o, slogs.With(t.Context(), slogs.Object{Addr: 2, Name: "own"}), slog.LevelInfo, "x")
	if want := "time=2024-09-19T13:28:32.162Z level=INFO msg=x pid=7 object=<00000002>own\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestSample_IsReadBack(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelTrace}))
	slogs.Sample(t.Context(), log, slog.Int("n", 3), slog.String("odd", "a:b=\"c\"\n"), slog.String("empty", ""))
	slogs.Sample(t.Context(), slog.New(slogs.New(&out, nil)), slog.Int("hidden", 1))
	l, ok := slogs.Parse(strings.TrimSuffix(out.String(), "\n"))
	if !ok || l.Tag != slogs.Sampled || l.Text != `n=3:odd="a:b=\"c\"\n":empty=""` {
		t.Fatalf("got %q, %+v", out.String(), l)
	}
	got, ok := slogs.ParseSample(l.Text)
	if want := map[string]string{"n": "3", "odd": "a:b=\"c\"\n", "empty": ""}; !ok || !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "a", "a=1:", ":a=1", "=1", `a="`, `a="1"x`, "a=1=2"} {
		if got, ok := slogs.ParseSample(bad); ok {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestLevels(t *testing.T) {
	order := []string{"DEBUG", "TRACE", "OBJECT", "CONSOLE", "WARNING", "FAULT", "NONE"}
	for i, name := range order {
		l, err := slogs.ParseLevel(strings.ToLower(name))
		if err != nil || slogs.LevelName(l) != name {
			t.Errorf("%s: got %v, %v", name, slogs.LevelName(l), err)
		}
		if next, _ := slogs.ParseLevel(order[min(i+1, len(order)-1)]); next < l {
			t.Errorf("%s is above what follows", name)
		}
	}
	for name, want := range map[string]slog.Level{"ERROR": slog.LevelError, "WARN": slog.LevelWarn, "INFO": slog.LevelInfo} {
		if l, err := slogs.ParseLevel(name); l != want || err != nil {
			t.Errorf("%s: got %v, %v", name, l, err)
		}
	}
	for _, bad := range []string{"", "LOUD", "DEBUG ", strings.Repeat("x", 1000)} {
		if _, err := slogs.ParseLevel(bad); fault.KindOf(err) != fault.Invalid || len(err.Error()) > 200 {
			t.Errorf("%.10q: got %v", bad, err)
		}
		if _, err := slogs.ParseFormat(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.10q: got %v", bad, err)
		}
	}
}

// TestProgram_Installs says what the default logger does; it is the only test that changes it.
func TestProgram_Installs(t *testing.T) {
	was, to, flags := slog.Default(), log.Writer(), log.Flags()
	defer func() { slog.SetDefault(was); log.SetOutput(to); log.SetFlags(flags) }()
	early := slogs.Default().With("made", "early")
	var out, plain bytes.Buffer
	log.SetOutput(&plain)
	log.SetFlags(0)
	p := slogs.Program{To: &out}
	if !p.Install(slogs.Options{Level: slogs.LevelWarning}) {
		t.Fatal("it is not installed")
	}
	early.Info("hidden")
	slog.Warn("shown 1")
	p.SetLevel(slogs.LevelDebug)
	early.Debug("shown 2")
	p.SetLevel(slogs.LevelNone)
	slog.Error("hidden")
	log.Print("as ever")
	got := regexp.MustCompile(`(?m)^\S+ `).ReplaceAllString(out.String(), "")
	if want := "? <00000000> - shown 1\n_ <00000000> - shown 2 made=early\n"; got != want {
		t.Errorf("got %q", got)
	}
	if plain.String() != "as ever\n" {
		t.Errorf("log printed %q", plain.String())
	}
	if new(slogs.Program).Install(slogs.Options{}) {
		t.Error("it is installed over another")
	}
	slog.SetDefault(slogs.Default())
	slog.Error("nowhere")
	if n := testing.AllocsPerRun(100, func() { early.Info("below") }); n > 0 {
		t.Errorf("what nobody hears allocates %v times", n)
	}
}

func TestSeed_BelowTheLevelCostsNoMemory(t *testing.T) {
	log := slog.New(slogs.New(io.Discard, &slogs.Options{Level: slogs.LevelWarning}))
	if n := testing.AllocsPerRun(100, func() { log.Info("text", "k", "v") }); n > 0 {
		t.Errorf("%v allocations below the level", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[00205791] 2024-09-19T13:28:32.162 + <00000010>crunch[READY] - Created by <00000001>")
	f.Add("2024-09-19T13:28:32.162 & <00000010>crunch - a=1:b=\"2\"")
	f.Add("[1] 2024")
	f.Fuzz(func(t *testing.T, text string) {
		if l, ok := slogs.Parse(text); ok {
			object := slogs.Address(l.Object.Addr) + l.Object.Name
			if l.Object.State != "" {
				object += "[" + l.Object.State + "]"
			}
			again := fmt.Sprintf("%s %c %s - %s", l.Time.Format("2006-01-02T15:04:05.000"), l.Tag, object, l.Text)
			l.PID = 0
			if l2, ok := slogs.Parse(again); !ok || l2 != l {
				t.Errorf("%q is read as %+v, then as %+v", text, l, l2)
			}
		}
		slogs.ParseSample(text)
		line := logged(t, slogs.Options{Object: slogs.Object{Name: text, State: "x" + text}}, t.Context(), slogs.LevelConsole, text, slog.String(text, text))
		if strings.Count(line, "\n") != 1 {
			t.Errorf("%q is written as %q", text, line)
		}
		if l, ok := slogs.Parse(strings.TrimSuffix(line, "\n")); !ok && !strings.Contains(text, " - ") || ok && l.Tag != slogs.Console {
			t.Errorf("%q is read as %+v, %v", line, l, ok)
		}
		read, ok := slogs.ParseSample(sampled(text))
		if !ok || text != "" && read[text] != strings.ToValidUTF8(text, "\xff") && read[text] != text {
			t.Errorf("a sample of %q is read as %v", text, read)
		}
	})
}

// sampled is the text of a sample of a value named like itself.
func sampled(text string) string {
	var out bytes.Buffer
	name := text
	if name == "" {
		name = "k"
	}
	slogs.Sample(context.Background(), slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelTrace})), slog.String(name, text))
	l, _ := slogs.Parse(strings.TrimSuffix(out.String(), "\n"))
	return l.Text
}

func ExampleNew() {
	log := slog.New(slogs.New(os.Stdout, &slogs.Options{Format: slogs.JSON, Object: slogs.Object{Addr: 1, Name: "crunch"}}))
	r := slog.NewRecord(time.Time{}, slogs.LevelConsole, "ready", 0)
	r.AddAttrs(slog.Int("port", 5051))
	log.Handler().Handle(context.Background(), r)
	// Output: {"level":"INFO","msg":"ready","port":5051,"object":"<00000001>crunch"}
}

func BenchmarkSeed(b *testing.B) {
	for _, level := range []slog.Level{slogs.LevelConsole, slogs.LevelWarning} {
		b.Run(slogs.LevelName(level), func(b *testing.B) {
			log := slog.New(slogs.New(io.Discard, &slogs.Options{Level: level, PID: 1, Object: crunch}))
			b.ReportAllocs()
			for b.Loop() {
				log.Info("request served", "ms", 12)
			}
		})
	}
}
