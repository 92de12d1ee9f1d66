package cas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
)

// Settings are a server's as JSON says them. What is missing has its default, see [Options].
type Settings struct {
	// Register is where the register lives, see [register.Open]: unix:/path or file:/path. Default: in this process.
	Register string `json:"register,omitempty"`
	// Token is what the owner of a register at unix:/path wants, in hexadecimal.
	Token string `json:"token,omitempty"`
	// MaxLine is as in Options: at most 65536 bytes.
	MaxLine int `json:"max_line,omitempty"`
	// MaxConns is as in Options.
	MaxConns int `json:"max_conns,omitempty"`
	// The timeouts are as in Options; 0s is without limit.
	LineTimeout  *Duration `json:"line_timeout,omitempty"`
	IdleTimeout  *Duration `json:"idle_timeout,omitempty"`
	WriteTimeout *Duration `json:"write_timeout,omitempty"`
	// Chatter prints each connection and each line.
	Chatter bool `json:"chatter,omitempty"`
}

// Duration is a time as people write it, in JSON: "30s", "5m", "1h30m".
type Duration time.Duration

// UnmarshalText reads a duration. One below zero is an error.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%.40q is no duration like 30s or 5m", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// option is d as Options has it, where 0 is the default and a time below zero is without limit.
func (d *Duration) option() time.Duration {
	switch {
	case d == nil:
		return 0
	case *d == 0:
		return -1
	}
	return time.Duration(*d)
}

// ReadSettings reads JSON; empty is all defaults. A field that is not known, or a value that makes no sense, is an
// error of kind [fault.Invalid].
func ReadSettings(data []byte) (Settings, error) {
	var s Settings
	if len(data) == 0 {
		return s, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := inPlain(d.Decode(&s))
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after them")
		}
	}
	switch {
	case err != nil:
	case s.MaxLine < 0 || s.MaxLine > MaxLine:
		err = fmt.Errorf("max_line is %d, must be 1 to %d", s.MaxLine, MaxLine)
	case s.MaxConns < 0:
		err = fmt.Errorf("max_conns is %d, must be above zero", s.MaxConns)
	}
	if err != nil {
		return Settings{}, fault.New(fault.Invalid, "read settings", "", err)
	}
	return s, nil
}

// inPlain says what is wrong with JSON without a word about Go.
func inPlain(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case wrong.Field == "":
		return errors.New("want a JSON object, not " + article(wrong.Value))
	}
	want := "a string"
	switch wrong.Type.Kind() {
	case reflect.Int:
		want = "a whole number"
	case reflect.Bool:
		want = "true or false"
	}
	return fmt.Errorf("%s: want %s, not %s", wrong.Field, want, article(wrong.Value))
}

// article puts one before what JSON has.
func article(word string) string {
	if strings.HasPrefix(word, "array") || strings.HasPrefix(word, "object") {
		return "an " + word
	}
	return "a " + word
}

// Share returns settings with a register: data unless it names one already.
func Share(data []byte, address, token string) (json.RawMessage, error) {
	s, err := ReadSettings(data)
	if err != nil || s.Register != "" {
		return data, err
	}
	s.Register, s.Token = address, token
	return json.Marshal(s)
}

// Open opens the register and returns the options of a server in front of it; chatter is where it goes if the settings
// want it. The register has to be closed when the server has ended.
func (s Settings) Open(ctx context.Context, logger *slog.Logger, chatter io.Writer) (*Options, io.Closer, error) {
	reg, err := register.Open(ctx, s.Register, s.Token)
	if err != nil {
		return nil, nil, err
	}
	o := &Options{
		Register: reg, MaxLine: s.MaxLine, MaxConns: s.MaxConns, Logger: logger,
		LineTimeout: s.LineTimeout.option(), IdleTimeout: s.IdleTimeout.option(), WriteTimeout: s.WriteTimeout.option(),
	}
	if s.Chatter {
		o.Chatter = chatter
	}
	return o, reg, nil
}

// factory are the settings when nobody gives any.
func factory() (json.RawMessage, error) {
	var o *Options
	is := func(t time.Duration) *Duration { return (*Duration)(&t) }
	return json.Marshal(Settings{
		MaxLine: o.maxLine(), MaxConns: o.maxConns(),
		LineTimeout: is(o.lineTimeout()), IdleTimeout: is(o.idleTimeout()), WriteTimeout: is(o.writeTimeout()),
	})
}
