package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/runs"
)

// logWindow is the part of the log that is asked for, by its flags: a beginning, and an end.
type logWindow struct {
	flags *pflag.FlagSet

	from, last, back, to, span string
	start, count, newest       int
	clock                      bool
	local                      *time.Location // where --clock is; nil: time.Local
}

var (
	begins = []string{"back", "from", "last", "start"}
	ends   = []string{"to", "span", "count"}
)

// usualBack is the beginning when nobody says another.
const usualBack = 5 * time.Minute

func (w *logWindow) add(f *pflag.FlagSet) {
	f.StringVar(&w.back, "back", "", "begin so long a `time` ago, as in 1d2h30m (default 5m)")
	f.StringVar(&w.from, "from", "", "begin at this `time`, as in 2026-11-21T13:28:32, 2026-11-21 or 13:28")
	f.StringVar(&w.last, "last", "", "begin with the `frame` that it is: MONTH, WEEK, DAY, HOUR, HALF, QUARTER, TEN, FIVE (minutes) or MINUTE")
	f.IntVar(&w.start, "start", 0, "begin at the n-th `start` of the service, from 0; -1 is the newest")
	f.StringVar(&w.to, "to", "", "end before this `time`")
	f.StringVar(&w.span, "span", "", "end so long a `time` after the beginning")
	f.IntVar(&w.count, "count", 0, "end after so many `lines`")
	f.IntVarP(&w.newest, "newest", "n", 0, "print the newest so many `lines` only; 0 is all")
	f.BoolVar(&w.clock, "clock", false, "times are local ones")
}

// given returns those of some flags that are on the command line.
func (w *logWindow) given(names []string) (all []string) {
	for _, name := range names {
		if w.flags.Changed(name) {
			all = append(all, "--"+name)
		}
	}
	return all
}

// read checks what the command line says, as far as no fleet is needed for that.
func (p *logPrinter) read(w *logWindow, sample string) error {
	begin, end := w.given(begins), w.given(ends)
	newest := w.flags.Changed("newest")
	switch {
	case len(begin) > 1:
		return usage("give one of --back, --from, --last and --start", "%s are two beginnings", strings.Join(begin, " and "))
	case len(end) > 1:
		return usage("give one of --to, --span and --count", "%s are two ends", strings.Join(end, " and "))
	case newest && w.flags.Changed("count"):
		return usage("--count counts from the beginning, -n from the end", "--count and -n exclude each other")
	case p.follow && (w.flags.Changed("to") || w.flags.Changed("span")):
		return usage("leave -f or "+end[0]+" out", "-f goes on for ever: %s means nothing to it", end[0])
	case w.newest < 0 || w.flags.Changed("count") && w.count < 1:
		return usage("as in -n 100 or --count 100", "a number of lines is above zero")
	}
	if _, err := regexp.Compile(p.query.Grep); err != nil {
		return usage("see https://pkg.go.dev/regexp/syntax", "--grep %q is no regular expression: %s", p.query.Grep, wrongRegexp(p.query.Grep))
	}
	if w.flags.Changed("sample") {
		p.sample, p.query.Samples = strings.Split(sample, ","), true
		if slices.Contains(p.sample, "") {
			return usage("as in --sample hits,misses", "--sample has an empty column")
		}
	}
	_, _, err := w.times(time.Now())
	return err
}

// times are the bounds that need no fleet; zero for none.
func (w *logWindow) times(now time.Time) (begin, end time.Time, err error) {
	switch {
	case w.flags.Changed("back"):
		var d time.Duration
		d, err = parseSpan("back", w.back)
		begin = now.Add(-d)
	case w.flags.Changed("from"):
		begin, err = w.parseTime("from", w.from, now)
	case w.flags.Changed("last"):
		begin, err = w.frame(now)
	case !w.flags.Changed("newest") && !w.flags.Changed("start"):
		begin = now.Add(-usualBack)
	}
	if err != nil {
		return begin, end, err
	}
	if w.flags.Changed("to") {
		end, err = w.parseTime("to", w.to, now)
		if len(w.given(begins)) == 0 && !w.flags.Changed("newest") {
			begin = end.Add(-usualBack)
		}
	}
	if w.flags.Changed("span") {
		var d time.Duration
		d, err = parseSpan("span", w.span)
		if begin.IsZero() && !w.flags.Changed("start") && err == nil {
			err = usage("as in --from 13:28 --span 10m", "--span needs a beginning")
		}
		end = begin.Add(d)
	}
	if err == nil && !end.IsZero() && !begin.IsZero() && !end.After(begin) {
		err = usage("become logs --help", "the end, %s, is not after the beginning, %s", end.UTC().Format(time.RFC3339), begin.UTC().Format(time.RFC3339))
	}
	return begin, end, err
}

// bounds are the bounds; a start is asked of the nodes.
func (w *logWindow) bounds(ctx context.Context, s *session, args []string, now time.Time) (begin, end time.Time, err error) {
	if !w.flags.Changed("start") {
		return w.times(now)
	}
	if len(args) == 0 {
		return begin, end, usage("as in: become logs crunch --start -1", "--start needs the NAME of a service")
	}
	all, err := askRuns(ctx, s, runs.Question{Role: args[0], Count: runs.Most})
	if err != nil {
		return begin, end, err
	}
	all = slices.DeleteFunc(all, func(r nodeRun) bool { return r.Process != 1 })
	i := w.start
	if i < 0 {
		i += len(all)
	}
	if i < 0 || i >= len(all) {
		text := "no start of it is known"
		if n := len(all); n > 0 {
			text = fmt.Sprintf("%d starts of it are known: 0 to %d, or -1 to -%d", n, n-1, n)
		}
		return begin, end, fault.Text(fault.NotFound, "find start "+strconv.Itoa(w.start)+" of", args[0], text).
			WithHint("become history " + args[0] + " lists them: those of process 1 count")
	}
	begin = all[i].Started
	switch {
	case w.flags.Changed("span"):
		d, err := parseSpan("span", w.span)
		return begin, begin.Add(d), err
	case w.flags.Changed("to"):
		end, err = w.parseTime("to", w.to, now)
		if err == nil && !end.After(begin) {
			err = usage("become history "+args[0], "the end, %s, is not after the start, %s", end.UTC().Format(time.RFC3339), begin.UTC().Format(time.RFC3339))
		}
	case !w.flags.Changed("count") && i+1 < len(all):
		end = all[i+1].Started
	}
	return begin, end, err
}

// words say where nothing was printed.
func (w *logWindow) words() string {
	switch {
	case len(w.given(append([]string{"newest", "to"}, begins...))) == 0:
		return " in the last 5 minutes; --back 1d goes back a day"
	case len(w.given(begins)) > 0 || len(w.given(ends)) > 0:
		return " in that time"
	}
	return ""
}

func (w *logWindow) zone() *time.Location {
	switch {
	case !w.clock:
		return time.UTC
	case w.local != nil:
		return w.local
	}
	return time.Local
}

// timeLayouts are how a time can be given; a zone of its own goes before UTC or --clock's.
var timeLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02",
	"15:04:05", "15:04",
}

func (w *logWindow) parseTime(flag, text string, now time.Time) (time.Time, error) {
	plain := strings.ToUpper(strings.Replace(strings.TrimSpace(text), " ", "T", 1))
	for _, layout := range timeLayouts {
		t, err := time.ParseInLocation(layout, plain, w.zone())
		if err != nil {
			continue
		}
		if t.Year() == 0 { // of today
			y, m, d := now.In(w.zone()).Date()
			t = time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), w.zone())
		}
		return t, nil
	}
	return time.Time{}, usage("as in 2026-11-21T13:28:32, with Z or +02:00 behind it or in UTC; 2026-11-21; or 13:28", "--%s: %s is no time", flag, strconv.Quote(text))
}

// frame is the beginning of the month, week, day, hour … that it is.
func (w *logWindow) frame(now time.Time) (time.Time, error) {
	now = now.In(w.zone())
	y, m, d := now.Date()
	minutes := map[string]int{"HOUR": 60, "HALF": 30, "QUARTER": 15, "TEN": 10, "FIVE": 5, "MINUTE": 1}
	switch frame := strings.ToUpper(w.last); frame {
	case "MONTH":
		return time.Date(y, m, 1, 0, 0, 0, 0, w.zone()), nil
	case "WEEK": // which begins on Monday
		return time.Date(y, m, d-(int(now.Weekday())+6)%7, 0, 0, 0, 0, w.zone()), nil
	case "DAY":
		return time.Date(y, m, d, 0, 0, 0, 0, w.zone()), nil
	default:
		n := minutes[frame]
		if n == 0 {
			return time.Time{}, usage("as in --last HOUR", "--last: %s is none of MONTH, WEEK, DAY, HOUR, HALF, QUARTER, TEN, FIVE and MINUTE", strconv.Quote(w.last))
		}
		return time.Date(y, m, d, now.Hour(), now.Minute()/n*n, 0, 0, w.zone()), nil
	}
}

var spanPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(w|d|h|ms|m|s)`)

// parseSpan reads a time as in 1d2h30m: weeks, days, hours, minutes, seconds, milliseconds.
func parseSpan(flag, text string) (time.Duration, error) {
	units := map[string]time.Duration{
		"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second, "ms": time.Millisecond,
	}
	sum := 0.0
	rest := text
	for rest != "" {
		part := spanPart.FindStringSubmatch(rest)
		if part == nil {
			break
		}
		n, _ := strconv.ParseFloat(part[1], 64)
		sum += n * float64(units[part[2]])
		rest = rest[len(part[0]):]
	}
	if rest != "" || sum <= 0 || sum >= math.MaxInt64 {
		return 0, usage("as in 1d2h30m or 90s", "--%s: %s is no time above zero", flag, strconv.Quote(text))
	}
	return time.Duration(sum), nil
}
