package main

import (
	"cmp"
	"errors"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
)

// flagError says what is wrong with a flag in our words: those of strconv and time are for programmers.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := bad.GetFlag()
		reason, hint := whatFlagWants(f, bad.Unwrap())
		return usage(cmp.Or(hint, help), "--%s %q: %s", f.Name, bad.GetValue(), reason)
	}
	return usage(help, "%s", err)
}

// whatFlagWants says why a value is none for a flag, and gives an example.
func whatFlagWants(f *pflag.Flag, cause error) (reason, hint string) {
	example := "as in --" + f.Name + "="
	tooLarge := errors.Is(cause, strconv.ErrRange)
	switch f.Value.Type() {
	case "int", "int64", "uint", "uint64":
		if tooLarge {
			return "the number is too large", ""
		}
		return "want a whole number", example + "4"
	case "float64":
		if tooLarge {
			return "the number is too large", ""
		}
		return "want a number", example + "0.5"
	case "duration":
		return "want a time with its unit: ms, s, m or h", example + "1m30s"
	case "bool":
		return "it is true or false", "--" + f.Name + " alone means true"
	}
	return cause.Error(), fault.Hint(cause)
}

// kindOfFile is the kind of an error of the system about a file that somebody named.
func kindOfFile(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	}
	return fault.Invalid
}

// misused makes an error about what the command line says one of wrong usage, with its exit code.
func misused(err error) error {
	if _, is := errors.AsType[*usageError](err); err == nil || is || fault.KindOf(err) != fault.Invalid {
		return err
	}
	return usage(fault.Hint(err), "%s", err)
}
