package settings

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// own are the flags that every program has.
var own = [][2]string{
	{"--help", "describes the settings"},
	{"--dump-settings", "prints the settings as they are now"},
	{"--store-settings", "keeps the settings as they are now in the file"},
	{"--factory-reset", "begins with the factory settings; with --store-settings for good"},
	{"--edit-settings", "opens the settings in an editor, and keeps them"},
	{"--settings-file FILE", "another file"},
	{"--settings JSON", "settings as a whole; single flags go before"},
}

func flagOf(path string) string { return strings.ReplaceAll(path, "_", "-") }

// arguments reads the command line; what it says of settings is taken later, after the file and the
// environment.
func (l *loading) arguments(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			l.out.Rest = append(l.out.Rest, args...)
			return nil
		}
		if arg == "-h" {
			arg = "--help"
		}
		name, ok := strings.CutPrefix(arg, "--")
		if short, isShort := strings.CutPrefix(arg, "-"); !ok && isShort && l.other(nameOf(short)) != nil {
			name, ok = short, true
		}
		if !ok {
			l.out.Rest = append(l.out.Rest, arg)
			continue
		}
		name, text, given := strings.Cut(name, "=")
		used, err := l.flag(name, text, given, args)
		if err != nil {
			return err
		}
		args = args[used:]
	}
	return nil
}

// flag takes one flag and says how many of the arguments after it belong to it.
func (l *loading) flag(name, text string, given bool, after []string) (used int, err error) {
	if on := l.switchOf(name); on != nil {
		if given {
			return 0, fault.Text(fault.Invalid, "read flag", "--"+name, "it takes no value")
		}
		*on = true
		return 0, nil
	}
	leaf, found := l.leaf(name)
	other := l.other(name)
	switch {
	case other != nil && !given && isBool(other):
		text, given = "true", true
	case other != nil || l.wordOf(name) != nil:
	case !found:
		return 0, fault.Text(fault.Invalid, "read flag", "--"+name, "there is no such setting; there is "+l.names()).WithHint(l.program + " --help describes them")
	case !given && leaf.Kind == "BOOL":
		text, given = "true", true
	}
	if !given {
		if len(after) == 0 {
			return 0, fault.Text(fault.Invalid, "read flag", "--"+name, "it needs a value, as in --"+name+"=VALUE")
		}
		text, used = after[0], 1
	}
	if word := l.wordOf(name); word != nil {
		*word = text
		l.named = l.named || word == &l.out.File
		return used, nil
	}
	if other != nil {
		if err := l.opts.Flags.Set(name, text); err != nil {
			return 0, fault.New(fault.Invalid, "read flag", "--"+name, err).WithHint(l.program + " --help describes it")
		}
		return used, nil
	}
	l.set = append(l.set, setting{leaf, "--" + name, text})
	return used, nil
}

// wordOf returns where the value of one of the own flags goes; nil if it is none.
func (l *loading) wordOf(name string) *string {
	return map[string]*string{"settings-file": &l.out.File, "settings": &l.whole}[name]
}

// other returns a flag of the program that is no setting; nil if there is none.
func (l *loading) other(name string) *flag.Flag {
	if l.opts.Flags == nil {
		return nil
	}
	return l.opts.Flags.Lookup(name)
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func nameOf(flag string) string {
	name, _, _ := strings.Cut(flag, "=")
	return name
}

// others describes the program's other flags.
func (l *loading) others() (rows [][2]string) {
	if l.opts.Flags == nil {
		return nil
	}
	l.opts.Flags.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		if kind != "" {
			kind = " " + strings.ToUpper(kind)
		}
		rows = append(rows, [2]string{"--" + f.Name + kind, text})
	})
	return rows
}

func (l *loading) switchOf(name string) *bool {
	return map[string]*bool{
		"help": &l.help, "dump-settings": &l.dump, "store-settings": &l.store, "factory-reset": &l.reset, "edit-settings": &l.edit,
	}[name]
}

func (l *loading) leaf(name string) (message.Leaf, bool) {
	for _, leaf := range l.fields {
		if leaf.Path == name || flagOf(leaf.Path) == name {
			return leaf, true
		}
	}
	return message.Leaf{}, false
}

func (l *loading) names() string {
	all := make([]string, len(l.fields))
	for i, leaf := range l.fields {
		all[i] = flagOf(leaf.Path)
	}
	return strings.Join(all, ", ")
}

// editor lets the user change the settings.
func (l *loading) editor() error {
	if l.opts.Edit == nil {
		return fault.Text(fault.Invalid, "edit settings", l.program, "it has no editor").WithHint("edit " + l.out.File)
	}
	text, err := l.broken, error(nil) // what is wrong is mended where it is seen
	if text == "" {
		text, err = l.text()
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", l.program+"-*.json")
	if err != nil {
		return fault.New(kindOf(err), "edit settings", l.program, err)
	}
	f.WriteString(text)
	err = f.Close()
	if err == nil {
		err = l.opts.Edit(f.Name())
	}
	if err != nil {
		os.Remove(f.Name())
		return fault.New(fault.Canceled, "edit settings", l.program, err)
	}
	return l.edited(f.Name())
}

// edited takes what the user has written in a file, which stays if it is wrong.
func (l *loading) edited(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fault.New(kindOf(err), "edit settings", l.program, err)
	}
	l.v.Set(l.factory)
	if err := update(l.typ, l.v, data, true); err != nil {
		return fault.New(fault.Invalid, "take settings", file, err).
			WithHint("what is stored is as before; mend that file and take it: --settings \"$(cat " + file + ")\" --store-settings")
	}
	os.Remove(file)
	return nil
}

// indent writes JSON as people read it.
func indent(b *strings.Builder, data []byte) error {
	var out bytes.Buffer
	err := json.Indent(&out, data, "", "    ")
	b.Write(out.Bytes())
	return err
}
