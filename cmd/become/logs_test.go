package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// window parses flags of become logs at a moment.
func window(t *testing.T, args ...string) (*logPrinter, *logWindow, error) {
	t.Helper()
	p, w := &logPrinter{}, &logWindow{}
	f := pflag.NewFlagSet("logs", pflag.ContinueOnError)
	w.add(f)
	f.BoolVarP(&p.follow, "follow", "f", false, "")
	f.StringVar(&p.query.Grep, "grep", "", "")
	sample := f.String("sample", "", "")
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	w.flags = f
	return p, w, p.read(w, *sample)
}

func TestLogWindow_Bounds(t *testing.T) {
	berlin := time.FixedZone("Berlin", 3600)
	now := time.Date(2026, 11, 22, 23, 47, 31, 500, time.UTC) // a Sunday; Monday in Berlin
	for _, c := range []struct{ flags, begin, end string }{
		{"", "2026-11-22T23:42:31Z", ""},
		{"--back 1d2h3m4.5s", "2026-11-21T21:44:26Z", ""},
		{"--back 2w --span 90s", "2026-11-08T23:47:31Z", "2026-11-08T23:49:01Z"},
		{"--from 2026-11-21", "2026-11-21T00:00:00Z", ""},
		{"--from 2026-11-21T13:28 --to 2026-11-21T13:29:01.5", "2026-11-21T13:28:00Z", "2026-11-21T13:29:01Z"},
		{"--from 2026-11-21T13:28:32+02:00", "2026-11-21T11:28:32Z", ""},
		{"--from 2026-11-21t13:28 --clock", "2026-11-21T12:28:00Z", ""},
		{"--from 13:28", "2026-11-22T13:28:00Z", ""},
		{"--from 00:28 --clock", "2026-11-22T23:28:00Z", ""},
		{"--to 13:28", "2026-11-22T13:23:00Z", "2026-11-22T13:28:00Z"},
		{"--last month", "2026-11-01T00:00:00Z", ""},
		{"--last WEEK", "2026-11-16T00:00:00Z", ""},
		{"--last WEEK --clock", "2026-11-22T23:00:00Z", ""},
		{"--last DAY --span 1h", "2026-11-22T00:00:00Z", "2026-11-22T01:00:00Z"},
		{"--last HOUR", "2026-11-22T23:00:00Z", ""},
		{"--last HALF", "2026-11-22T23:30:00Z", ""},
		{"--last QUARTER", "2026-11-22T23:45:00Z", ""},
		{"--last TEN", "2026-11-22T23:40:00Z", ""},
		{"--last FIVE", "2026-11-22T23:45:00Z", ""},
		{"--last MINUTE", "2026-11-22T23:47:00Z", ""},
		{"-n 5", "", ""},
		{"-n 5 --to 13:28", "", "2026-11-22T13:28:00Z"},
	} {
		_, w, err := window(t, strings.Fields(c.flags)...)
		if err != nil {
			t.Errorf("%s: %v", c.flags, err)
			continue
		}
		w.local = berlin
		begin, end, err := w.times(now)
		if err != nil {
			t.Errorf("%s: %v", c.flags, err)
		}
		for what, pair := range map[string][2]string{"begin": {utc(begin), c.begin}, "end": {utc(end), c.end}} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s is %s, want %s", c.flags, what, pair[0], pair[1])
			}
		}
	}
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func TestLogWindow_SaysWhatIsWrong(t *testing.T) {
	for flags, want := range map[string]string{
		"--back 1d --from 13:28":            "--back and --from are two beginnings",
		"--start 1 --last HOUR":             "--last and --start are two beginnings",
		"--to 13:28 --count 3":              "--to and --count are two ends",
		"--count 3 -n 3":                    "exclude each other",
		"--back 5":                          `--back: "5" is no time above zero`,
		"--back -1s":                        "no time above zero",
		"--back 0s":                         "no time above zero",
		"--back 1d2":                        "no time above zero",
		"--back 99999999999999999w":         "no time above zero",
		"--span 1y --from 13:28":            `--span: "1y" is no time`,
		"--span 1h -n 3":                    "--span needs a beginning",
		"--from yesterday":                  `--from: "yesterday" is no time`,
		"--to 25:00":                        "is no time",
		"--last YEAR":                       `--last: "YEAR" is none of MONTH`,
		"--from 2026-11-21 --to 2026-11-20": "is not after the beginning",
		"--count 0":                         "above zero",
		"-n -3":                             "above zero",
		"--grep (":                          "is no regular expression: missing closing )",
		"--sample a,,b":                     "--sample has an empty column",
		"--sample=":                         "--sample has an empty column",
		"-f --to 23:59":                     "-f goes on for ever: --to means nothing to it",
	} {
		if _, _, err := window(t, strings.Fields(flags)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", flags, err, want)
		}
	}
}
