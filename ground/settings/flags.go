package settings

import (
	"bytes"
	"encoding/json"
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
	switch {
	case name == "settings-file":
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
	if name == "settings-file" {
		l.out.File = text
		return used, nil
	}
	l.set = append(l.set, setting{leaf, "--" + name, text})
	return used, nil
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
	text, err := l.text()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", l.program+"-*.json")
	if err != nil {
		return fault.New(kindOf(err), "edit settings", l.program, err)
	}
	defer os.Remove(f.Name())
	f.WriteString(text)
	if err := f.Close(); err != nil {
		return fault.New(kindOf(err), "edit settings", l.program, err)
	}
	if err := l.opts.Edit(f.Name()); err != nil {
		return fault.New(fault.Canceled, "edit settings", l.program, err)
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return fault.New(kindOf(err), "edit settings", l.program, err)
	}
	l.v.Set(l.factory)
	return l.read(data)
}

// indent writes JSON as people read it.
func indent(b *strings.Builder, data []byte) error {
	var out bytes.Buffer
	err := json.Indent(&out, data, "", "    ")
	b.Write(out.Bytes())
	return err
}
