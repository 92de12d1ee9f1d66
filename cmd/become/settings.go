package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

func (a *app) settingsCommand() *cobra.Command {
	var w settingsWish
	var history bool
	cmd := &cobra.Command{
		Use: "settings NAME [KEY=VALUE...]", Short: "Show or change a service's settings on the fleet",
		Long: `Show the settings that a service has: those that it was given, and for the rest its program's own; or change them. A VALUE is JSON, or a
text without quotes; what is a text now stays one. A KEY in another is KEY.KEY. The service becomes a new edition: it is swapped without a
failed connection, and taken back by itself when the program refuses the settings or does not last; become rollback NAME undoes
it. Programs that take settings while they run (become.LiveSettings) go on in the same processes: what one of them refuses, none
keeps, and when they die too often in the ten seconds after, all have the old ones again. Each change is kept with who made it and when: --history.`,
		Example: `  become settings hello
  become settings hello greeting=hi limits.size=10
  become settings hello --unset greeting
  become settings hello --file hello.json
  become settings report --from points=points.json
  become settings hello --history`,
		Args: wants(1, -1, "a NAME"), ValidArgsFunction: a.completeRole,
	}
	f := cmd.Flags()
	f.StringVar(&w.file, "file", "", "take all settings from this `file`: JSON, as --dump-settings or --json prints; - is standard input")
	f.StringArrayVar(&w.from, "from", nil, "set one key to what a file holds, JSON or a text: `KEY=FILE`; may be repeated")
	f.StringArrayVar(&w.unset, "unset", nil, "take this `key` back to the program's own; may be repeated")
	f.BoolVar(&w.reset, "factory-reset", false, "take all keys back to the program's own, before anything else")
	f.BoolVar(&history, "history", false, "show who changed what, and when")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := args[0]
		w.words = unguard(args[1:])
		if history && w.any() {
			return usage(cmd.CommandPath()+" --help", "--history changes nothing")
		}
		if err := a.readWish(&w); err != nil {
			return err
		}
		return a.withRoles(cmd.Context(), func(ctx context.Context, s *session, roles *role.Store) error {
			if w.any() {
				return a.configure(ctx, s, roles, name, w)
			}
			r, err := findService(ctx, s, roles, name)
			if err != nil {
				return err
			}
			if history {
				return a.printChanges(slices.DeleteFunc(r.Changes, func(c role.Change) bool { return !c.Settings }), len(r.Changes))
			}
			return a.showSettings(ctx, s, r)
		})
	}
	return cmd
}

// settingsWish is what shall be done to settings, in the order of its fields.
type settingsWish struct {
	file  string
	whole map[string]any // of the file; nil without
	reset bool
	unset []string
	words []string // KEY=VALUE
	from  []string // KEY=FILE
	texts []string // KEY=what the file holds
}

func (w settingsWish) any() bool {
	return w.file != "" || w.reset || len(w.unset) > 0 || len(w.words) > 0 || len(w.from) > 0
}

// readWish reads the file, and checks the words.
func (a *app) readWish(w *settingsWish) error {
	for _, word := range w.words {
		if key, _, found := strings.Cut(word, "="); !found || !goodKey(key) {
			return usage("as in greeting=hello or limits.size=10", "%q is no KEY=VALUE", word)
		}
	}
	for _, key := range w.unset {
		if !goodKey(key) {
			return usage("as in --unset greeting", "%q is no key", key)
		}
	}
	if err := a.readFrom(w); err != nil || w.file == "" {
		return err
	}
	data, err := a.wholeFile(w.file, maxSettings)
	if err == nil {
		w.whole, err = jsonObject(data)
	}
	if err != nil {
		return fault.New(kindOfFile(err), "read settings", w.file, err)
	}
	w.whole = unwrapped(w.whole)
	return nil
}

// readFrom reads the files that hold a value each.
func (a *app) readFrom(w *settingsWish) error {
	for _, word := range w.from {
		key, file, found := strings.Cut(word, "=")
		if !found || !goodKey(key) || file == "" {
			return usage("as in --from points=points.json", "--from %q is no KEY=FILE", word)
		}
		data, err := a.wholeFile(file, maxSettings)
		if err == nil && !utf8.Valid(data) {
			err = fault.Text(fault.Invalid, "", "", "it is no text (UTF-8)")
		}
		if err != nil {
			return fault.New(kindOfFile(err), "read settings", file, err)
		}
		w.texts = append(w.texts, key+"="+string(data))
	}
	return nil
}

// unwrapped is what is in a document of --dump-settings, or given in one of --json.
func unwrapped(whole map[string]any) map[string]any {
	value, ok := whole["value"].(map[string]any)
	given, both := whole["given"].(map[string]any)
	switch {
	case ok && both && len(whole) == 2:
		return given
	case ok && len(whole) == 1:
		return value
	}
	return whole
}

func goodKey(key string) bool { return !slices.Contains(strings.Split(key, "."), "") }

func (a *app) configure(ctx context.Context, s *session, roles *role.Store, name string, w settingsWish) error {
	r, changed, err := roles.Configure(ctx, name, me(), w.apply)
	if err != nil {
		return missing(ctx, s, name, wantsService, err)
	}
	if !changed {
		fmt.Fprintf(a.err, "become: %s has these settings already\n", name)
	}
	return a.awaitRole(ctx, s, roles, r)
}
