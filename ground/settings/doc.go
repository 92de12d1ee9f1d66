// Package settings gives a program its settings from one struct: what the struct holds at first are
// the factory settings, then come the file, the environment and the command line, each before the one before.
//
//	struct → file → environment → command line → struct
//
// The struct is a message, see package message: its tags name, describe and bound the fields. Of a field
// named user_name the flag is --user-name (or --user_name), the variable PROGRAM_USER_NAME, and what a nested struct holds
// is --tls.cert and PROGRAM_TLS_CERT. A value is written as in a query: numbers, texts, times and durations as they
// are, lists and structs as JSON. A flag alone means true.
//
// The file is settings/PROGRAM.json in the user's configuration folder, if there is one: {"value": {…}}; it is made of the
// factory settings by the first thing that is stored, or Load with Options.Create. What is on the command line is for this run only,
// unless --store-settings keeps it. These flags are there for every program:
//
//	--help              describes the settings
//	--dump-settings     prints the settings as they are now
//	--store-settings    keeps the settings as they are now in the file
//	--factory-reset     begins with the factory settings, whatever the file says; with --store-settings for good
//	--edit-settings     opens the settings in an editor, and keeps them
//	--settings-file F   another file, which is there already or is stored now
//	--settings JSON     settings as a whole, after the environment and before single flags
//
// # Guarantees
//
//   - A setting that does not exist, or has the wrong type or value, is one error that names it and where it came from.
//   - The file is written whole or not at all, readable by its owner only.
//   - Nothing is printed and nobody exits: Load says what is to be done.
//
// # A first program
//
//	s := struct {
//		Host string
//		Port int `minimum:"0" maximum:"65535"`
//	}{"127.0.0.1", 5051}
//	out, err := settings.Load("crunch", &s, os.Args[1:], nil)
//	if err != nil {
//		return err
//	}
//	if out.Over {
//		fmt.Print(out.Text)
//		return nil
//	}
package settings
