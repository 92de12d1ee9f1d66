package settings

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// Options of a load. Nil and zero mean the defaults.
type Options struct {
	// File is where the settings are kept. Default: become/settings/PROGRAM.json in os.UserConfigDir; none if there
	// is no such folder.
	File string
	// Create makes the file if there is none and it may be written.
	Create bool
	// Flags are the program's other flags. They are set as they are found.
	Flags *flag.FlagSet
	// Environ is the environment. Default: os.Environ().
	Environ []string
	// Doc says what the program does, for --help.
	Doc string
	// Edit opens a file in an editor and returns when that has ended. Default: there is none.
	Edit func(path string) error
}

// Outcome is what came of a load.
type Outcome struct {
	// Over says that the program has done what it was asked to: it prints Text and ends.
	Over bool
	Text string
	// File is where the settings are, or would be, kept.
	File string
	// Rest are the arguments that are no settings: all after "--", and those that do not begin with "--".
	Rest []string
}

// ArgumentError says that the command line is wrong, not the file or the environment.
type ArgumentError struct{ Err error }

// Error implements error.
func (e *ArgumentError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ArgumentError) Unwrap() error { return e.Err }

// inArguments marks an error as one of the command line.
func inArguments(step func() error) func() error {
	return func() error {
		if err := step(); err != nil {
			return &ArgumentError{err}
		}
		return nil
	}
}

// loading is one load.
type loading struct {
	program string
	typ     *message.Type
	v       reflect.Value
	factory reflect.Value
	opts    Options
	fields  []message.Leaf
	set     []setting // from the command line, in order
	named   bool      // the file, by the command line
	whole   string    // all of them as JSON, from the command line
	broken  string    // what the file holds, if it is wrong and to be edited
	dump    bool
	store   bool
	reset   bool
	edit    bool
	help    bool
	out     Outcome
}

// setting is a value that the command line gives.
type setting struct {
	leaf message.Leaf
	flag string
	text string
}

// Load fills the struct that settings points to. fault.Invalid for what is wrong in the file, the environment or the
// arguments, and an *ArgumentError if it is the last; fault.Denied and others when the file cannot be read or written.
func Load(program string, settings any, args []string, opts *Options) (Outcome, error) {
	l := &loading{program: program}
	if opts != nil {
		l.opts = *opts
	}
	if err := l.prepare(settings); err != nil {
		return Outcome{}, err
	}
	if err := l.arguments(args); err != nil {
		return Outcome{}, &ArgumentError{err}
	}
	if l.help {
		return Outcome{Over: true, Text: l.usage(), File: l.out.File}, nil
	}
	for _, step := range []func() error{l.file, l.environment, inArguments(l.given), inArguments(l.command), l.finish} {
		if err := step(); err != nil {
			return Outcome{}, err
		}
	}
	return l.out, nil
}

func (l *loading) prepare(settings any) error {
	p := reflect.ValueOf(settings)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return fault.Text(fault.Invalid, "load settings", l.program, "they are not a pointer to a struct")
	}
	l.v = p.Elem()
	var err error
	if l.typ, err = message.Of(l.v.Type()); err != nil {
		return fault.New(fault.Invalid, "load settings", l.program, err)
	}
	l.fields = l.typ.Leaves()
	l.factory = reflect.New(l.v.Type()).Elem()
	l.factory.Set(l.v)
	if l.opts.Environ == nil {
		l.opts.Environ = os.Environ()
	}
	l.out.File = l.opts.File
	if dir, err := os.UserConfigDir(); l.out.File == "" && err == nil {
		l.out.File = filepath.Join(dir, "become", "settings", l.program+".json")
	}
	for _, leaf := range l.fields {
		if l.other(flagOf(leaf.Path)) != nil || l.switchOf(flagOf(leaf.Path)) != nil || l.wordOf(flagOf(leaf.Path)) != nil {
			return fault.Text(fault.Invalid, "load settings", l.program, "the setting "+leaf.Path+" has the name of a flag").WithHint("name it otherwise, by a json tag")
		}
	}
	return nil
}

// maxFile bounds what is read of a settings file.
const maxFile = 1 << 20

// file reads the settings that are kept.
func (l *loading) file() error {
	if l.out.File == "" {
		return nil
	}
	info, err := os.Stat(l.out.File)
	if errors.Is(err, os.ErrNotExist) {
		if l.named && !l.store && !l.edit {
			return fault.Text(fault.NotFound, "read settings", l.out.File, "there is no such file").
				WithHint("make it: --settings-file " + l.out.File + " --store-settings")
		}
		if l.opts.Create && !l.named {
			l.write() // who may not write there goes on without
		}
		return nil
	}
	if l.reset {
		return nil
	}
	if err == nil && info.Size() > maxFile {
		return fault.Text(fault.Invalid, "read settings", l.out.File, "the file is larger than 1 MiB")
	}
	data, err := os.ReadFile(l.out.File)
	if err != nil {
		return fault.New(kindOf(err), "read settings", l.out.File, err)
	}
	switch err := update(l.typ, l.v, data, true); {
	case err == nil:
	case l.edit:
		l.broken = string(data)
	default:
		return fault.New(fault.Invalid, "read settings", l.out.File, err).WithHint("mend it: --edit-settings, or begin anew: --factory-reset --store-settings")
	}
	return nil
}

// given takes the settings that somebody gives as a whole.
func (l *loading) given() error {
	if l.whole == "" {
		return nil
	}
	if err := update(l.typ, l.v, []byte(l.whole), false); err != nil {
		return fault.New(fault.Invalid, "configure", l.program, err)
	}
	return nil
}

// Update changes the struct that settings points to as JSON says, {"value": {…}} as in a file, or without the envelope.
// What the JSON leaves out stays. The error names what is wrong; then nothing has changed.
func Update(settings any, data []byte) error {
	p := reflect.ValueOf(settings)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return errors.New("the settings are not a pointer to a struct")
	}
	typ, err := message.Of(p.Type().Elem())
	if err != nil {
		return err
	}
	return update(typ, p.Elem(), data, false)
}

// Snapshot returns the settings as JSON that Update takes, without the envelope.
func Snapshot(settings any) ([]byte, error) {
	p := reflect.ValueOf(settings)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return nil, errors.New("the settings are not a pointer to a struct")
	}
	typ, err := message.Of(p.Type().Elem())
	if err != nil {
		return nil, err
	}
	return typ.Append(nil, p.Elem())
}

func update(typ *message.Type, v reflect.Value, data []byte, wrapped bool) error {
	var envelope map[string]json.RawMessage
	err := json.Unmarshal(data, &envelope)
	if err == nil {
		value, ok := envelope["value"]
		switch {
		case ok && len(envelope) == 1 && !typ.Has("value"), ok && wrapped:
			data = value
		case wrapped:
			return errors.New(`there is no "value"`)
		}
	} else if wrapped {
		return notObject(err)
	}
	return typ.Update(data, v)
}

// notObject says in our words why a text is no JSON object: those of package json are for who writes the program.
func notObject(err error) error {
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not JSON, see byte %d: %v", bad.Offset, bad)
	}
	return errors.New("it is no JSON object")
}

func kindOf(err error) fault.Kind {
	if errors.Is(err, os.ErrPermission) {
		return fault.Denied
	}
	return fault.Internal
}

// environment takes the variables.
func (l *loading) environment() error {
	for _, leaf := range l.fields {
		name := l.variable(leaf)
		for _, e := range l.opts.Environ {
			text, ok := strings.CutPrefix(e, name+"=")
			if !ok {
				continue
			}
			if err := leaf.Set(l.v, text); err != nil {
				return fault.New(fault.Invalid, "read variable", name, err)
			}
		}
	}
	return nil
}

func (l *loading) variable(leaf message.Leaf) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(l.program + "_" + leaf.Path))
}

// command takes what the command line gives.
func (l *loading) command() error {
	for _, s := range l.set {
		if err := s.leaf.Set(l.v, s.text); err != nil {
			hint := l.program + " --help describes the settings"
			if s.leaf.Kind == "JSON" {
				hint = "it is one JSON value, as in " + s.flag + "='[1, \"a\"]'"
			}
			return fault.New(fault.Invalid, "read flag", s.flag, err).WithHint(hint)
		}
	}
	return nil
}

// finish does what the command line asks for.
func (l *loading) finish() error {
	if l.edit {
		if err := l.editor(); err != nil {
			return err
		}
		l.store = true
	}
	if l.store {
		if err := l.write(); err != nil {
			return err
		}
		l.out.Over, l.out.Text = true, "Ack()\n"
	}
	if l.dump {
		text, err := l.text()
		if err != nil {
			return err
		}
		l.out.Over, l.out.Text = true, text
	}
	return nil
}

// text is the settings as they are kept.
func (l *loading) text() (string, error) {
	b, err := l.typ.Append([]byte(`{"value":`), l.v)
	if err != nil {
		return "", fault.New(fault.Invalid, "write settings", l.program, err)
	}
	var out strings.Builder
	if err := indent(&out, append(b, '}')); err != nil {
		return "", fault.New(fault.Internal, "write settings", l.program, err)
	}
	return out.String() + "\n", nil
}

// write keeps the settings, whole or not at all.
func (l *loading) write() error {
	text, err := l.text()
	if err != nil {
		return err
	}
	if l.out.File == "" {
		return fault.Text(fault.Invalid, "write settings", l.program, "there is no configuration folder").WithHint("say where they are: --settings-file FILE")
	}
	err = os.MkdirAll(filepath.Dir(l.out.File), 0o700)
	if err == nil {
		err = disk.WriteFile(l.out.File, []byte(text))
	}
	if err != nil {
		return fault.New(kindOf(err), "write settings", l.out.File, err)
	}
	return nil
}

// usage describes the settings and the flags.
func (l *loading) usage() string {
	var b strings.Builder
	if l.opts.Doc != "" {
		fmt.Fprintf(&b, "%s\n\n", l.opts.Doc)
	}
	kept := ""
	if l.out.File != "" {
		kept = ", kept in " + l.out.File
	}
	fmt.Fprintf(&b, "Usage:\n  %s [flags]\n\nSettings%s:\n", l.program, kept)
	var rows [][2]string
	for _, leaf := range l.fields {
		text := leaf.Doc
		if len(leaf.Choices) > 0 {
			text = strings.TrimPrefix(text+": "+strings.Join(leaf.Choices, ", "), ": ")
		}
		if now, err := leaf.Get(l.v); err == nil {
			text = strings.TrimSpace(text + " (default " + now + ")")
		}
		rows = append(rows, [2]string{"--" + flagOf(leaf.Path) + " " + leaf.Kind, text + "; " + l.variable(leaf)})
	}
	table(&b, rows)
	fmt.Fprint(&b, "\nFlags:\n")
	table(&b, append(l.others(), own...))
	return b.String()
}

func table(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r[0], r[1])
	}
}
