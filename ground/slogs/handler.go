package slogs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options of a handler. Nil and zero mean the defaults.
type Options struct {
	// Level is the lowest that is shown, now. Default LevelConsole.
	Level slog.Leveler
	// Format. Default Seed.
	Format Format
	// PID is shown, unless it is 0.
	PID int
	// Object is who records are of that name nobody.
	Object Object
}

// New returns a handler that writes each record by one Write. It is for use by several goroutines.
func New(w io.Writer, opts *Options) slog.Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Level == nil {
		o.Level = LevelConsole
	}
	own := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: named}
	var h slog.Handler
	switch o.Format {
	case JSON:
		h = slog.NewJSONHandler(w, own)
	case Text:
		h = slog.NewTextHandler(w, own)
	default:
		return &seed{opts: o, to: &output{w: w}}
	}
	if o.PID != 0 {
		h = h.WithAttrs([]slog.Attr{slog.Int("pid", o.PID)})
	}
	return structured{h, o.Object}
}

// named gives the levels that slog does not know their names.
func named(groups []string, a slog.Attr) slog.Attr {
	l, ok := a.Value.Any().(slog.Level)
	if ok && a.Key == slog.LevelKey && len(groups) == 0 && (l == LevelObject || l == LevelTrace) {
		a.Value = slog.StringValue(LevelName(l))
	}
	return a
}

// structured adds to JSON and text who a record is of.
type structured struct {
	slog.Handler
	object Object
}

func (h structured) Handle(ctx context.Context, r slog.Record) error {
	if !says(r, objectKey) {
		o, ok := ctx.Value(objectInContext{}).(Object)
		if !ok {
			o = h.object
		}
		if o != (Object{}) {
			r = r.Clone()
			r.AddAttrs(o.Attr())
		}
	}
	return h.Handler.Handle(ctx, r)
}

func says(r slog.Record, key string) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

func (h structured) WithAttrs(attrs []slog.Attr) slog.Handler {
	return structured{h.Handler.WithAttrs(attrs), h.object}
}

func (h structured) WithGroup(name string) slog.Handler {
	return structured{h.Handler.WithGroup(name), h.object}
}

// output is written to by one at a time.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// seed writes the line of the package. What WithAttrs brought is written already, in attrs.
type seed struct {
	opts   Options
	to     *output
	attrs  []byte
	prefix string // of names, for groups
	tag    Tag    // 0: the level's
	own    bool   // an object was given
}

// Enabled implements slog.Handler.
func (h *seed) Enabled(_ context.Context, l slog.Level) bool { return l >= h.opts.Level.Level() }

// WithAttrs implements slog.Handler.
func (h *seed) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	l := line{tag: h.tag, object: h.opts.Object, attrs: slices.Clip(h.attrs)}
	for _, a := range attrs {
		l.add(h.prefix, a)
	}
	out.attrs, out.tag, out.opts.Object = l.attrs, l.tag, l.object
	out.own = out.own || l.own
	return &out
}

// WithGroup implements slog.Handler.
func (h *seed) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	out := *h
	out.prefix += name + "."
	return &out
}

// lines holds buffers.
var lines = sync.Pool{New: func() any { return new(buffers) }}

type buffers struct{ line, attrs []byte }

// mostKept is how large a buffer is kept for the next line.
const mostKept = 16 << 10

// Handle implements slog.Handler.
func (h *seed) Handle(ctx context.Context, r slog.Record) error {
	b := lines.Get().(*buffers)
	l := line{tag: h.tag, object: h.opts.Object, attrs: append(b.attrs[:0], h.attrs...)}
	if !h.own {
		if o, ok := ctx.Value(objectInContext{}).(Object); ok {
			l.object = o
		}
	}
	r.Attrs(func(a slog.Attr) bool {
		l.add(h.prefix, a)
		return true
	})
	if l.tag == 0 {
		l.tag = tagOf(r.Level)
	}
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	b.line, b.attrs = l.append(b.line[:0], h.opts.PID, at, r.Message), l.attrs
	h.to.mu.Lock()
	_, err := h.to.w.Write(b.line)
	h.to.mu.Unlock()
	if cap(b.line)+cap(b.attrs) <= mostKept {
		lines.Put(b)
	}
	return err
}
