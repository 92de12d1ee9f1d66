package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
)

func testApp() *app {
	return &app{stdio: stdio{strings.NewReader(""), io.Discard, io.Discard}}
}

// each calls f with every command.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		each(sub, f)
	}
}

func TestCommand_EveryOneIsExplained(t *testing.T) {
	root := testApp().root()
	each(root, func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s: no short text", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") || c.Long != "" && !strings.Contains(c.Long, ".") {
			t.Errorf("%s: the short text has no full stop, the long one has", c.CommandPath())
		}
		if c.HasSubCommands() && c != root && len(c.Example) == 0 {
			return
		}
		if c.Example == "" {
			t.Errorf("%s: no example", c.CommandPath())
		}
	})
}

// An example that a reader pastes must at least be understood.
func TestCommand_ExamplesNameCommandsAndFlagsThatAre(t *testing.T) {
	each(testApp().root(), func(c *cobra.Command) {
		for line := range strings.SplitSeq(c.Example, "\n") {
			if c.Example == "" {
				break
			}
			_, rest, ok := strings.Cut(line, "become ")
			if !ok {
				t.Errorf("%s: example without the command: %q", c.CommandPath(), line)
				continue
			}
			rest, _, _ = strings.Cut(rest, " | ")
			rest, _, _ = strings.Cut(rest, " && ")
			rest, _, _ = strings.Cut(rest, "   ")
			words := strings.Fields(rest)
			found, args, err := testApp().root().Find(words)
			if err != nil || found.Name() != words[0] && found.Parent() != nil && found.Parent().Name() != words[0] {
				t.Errorf("%s: example of no command: %q", c.CommandPath(), line)
				continue
			}
			if found.Name() == "run" || strings.Contains(rest, "'") {
				continue // a program's own flags; quotes, which a shell reads
			}
			if err := found.ParseFlags(args); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

func TestInput(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"12", "12"},
		{"hello", `"hello"`},
		{"1 true null x", `[1,true,null,"x"]`},
		{"1e3 -4 007", `[1e3,-4,"007"]`},
		{`{"a":1} [2]`, `[{"a":1},[2]]`},
		{"a=1 b=x c={}", `{"a":1,"b":"x","c":{}}`},
		{"a=1 a=2", `{"a":2}`},
		{"a= b==", `{"a":"","b":"="}`},
		{"1=2", `"1=2"`},
		{"- 5", `[{"in":0},5]`},
		{"a=1 2", "usage"},
		{"- -", "usage"},
	} {
		got, err := input(strings.Fields(c.args), strings.NewReader(` {"in":0} `))
		if err != nil {
			got = []byte("usage")
			if _, ok := err.(*usageError); !ok {
				t.Errorf("%q: got %v, want a usage error", c.args, err)
			}
		}
		if string(got) != c.want {
			t.Errorf("%q: got %s, want %s", c.args, got, c.want)
		}
	}
}

func TestGuardNumbers_OnlyArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"call f -3", "call f ~-3"},
		{"call -v -3 -.5", "call -v ~-3 ~-.5"},
		{"call f -x -3", "call f -x ~-3"},
		{"call f -- -3", "call f -- -3"},
		{"jobs list -n -3", "jobs list -n -3"},
		{"jobs list --count -3", "jobs list --count -3"},
		{"call --timeout -3s f", "call --timeout -3s f"},
		{"call f - 3", "call f - 3"},
	} {
		got := guardNumbers(testApp().root(), strings.Fields(c.args))
		if text := strings.ReplaceAll(strings.Join(got, " "), guard, "~"); text != c.want {
			t.Errorf("%q: got %q, want %q", c.args, text, c.want)
		}
		if text := strings.Join(unguard(got), " "); text != c.args {
			t.Errorf("unguarded: got %q, want %q", text, c.args)
		}
	}
}

func TestPrintable_HidesWhatATerminalObeys(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢":          "plain ü 漢",
		"\x1b[31mred":        "?[31mred",
		"a\u202eb":           "a?b",
		"two\nlines\tand\r!": "two lines and !",
		"\x9b\x00\xff":       "???",
	} {
		if got := printable(in, false); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got, want := printable("a\n\tb\r", true), "a\n\tb "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s",
		3*time.Hour + 5*time.Minute: "3h05m", 49 * time.Hour: "2d01h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{-1: "-", 0: "0 B", 1023: "1023 B", 1024: "1 KiB", 5 << 20: "5 MiB", 9 << 30: "9216 MiB", 64 << 30: "64 GiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	if got, want := cut("übermut", 4), "übe…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlain_WhatJSONHasNot(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	got := plain(map[any]any{1: math.Inf(1), "n": []any{math.NaN(), huge, *huge, 1.5}})
	want := `map[1:+Inf n:[NaN 123456789012345678901234567890 123456789012345678901234567890 1.5]]`
	if text := fmt.Sprint(got); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if _, ok := got.(map[string]any); !ok {
		t.Errorf("got %v, want map[string]any", reflect.TypeOf(got))
	}
}

func TestExitCode(t *testing.T) {
	for kind, want := range map[fault.Kind]int{
		fault.NotFound: exitNotFound, fault.Busy: exitRefused, fault.Denied: exitRefused, fault.Conflict: exitRefused,
		fault.Deadline: exitTimeout, fault.Invalid: exitFailed, fault.Remote: exitFailed, fault.Lost: exitFailed,
	} {
		if got := exitCode(kind); got != want {
			t.Errorf("%v: got %d, want %d", kind, got, want)
		}
	}
}

func TestReport_AnErrorIsOneLineAndAHint(t *testing.T) {
	var out strings.Builder
	a := &app{stdio: stdio{nil, io.Discard, &out}}
	err := fault.Text(fault.NotFound, "find", "it\x1b]0;x", "it is not there").WithHint("look elsewhere")
	if got := a.report(context.Background(), err); got != exitNotFound {
		t.Errorf("got exit code %d, want %d", got, exitNotFound)
	}
	if got, want := out.String(), "become: cannot find it?]0;x: it is not there\nhint: look elsewhere\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
