package stock

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/internal/program"
)

func tooMuch(word string) error {
	return fault.Text(fault.Invalid, "", "", fmt.Sprintf("%q is too much", word))
}

// need says that there has to be an argument.
func need(args []string, what string) error {
	if len(args) == 0 {
		return fault.Text(fault.Invalid, "", "", "it wants "+what)
	}
	return nil
}

// one is the only argument.
func one(args []string, what string) (string, error) {
	switch {
	case len(args) == 0 || args[0] == "":
		return "", need(nil, what)
	case len(args) > 1:
		return "", tooMuch(args[1])
	}
	return args[0], nil
}

// hasSlash says whether a program is named by its path, and not looked up in PATH.
func hasSlash(name string) bool { return strings.ContainsAny(name, "/"+string(filepath.Separator)) }

// validEnv says which variable is none.
func validEnv(env []string) error {
	_, err := program.Merge(nil, env)
	return err
}

// localSocket makes the path of a Unix socket absolute.
func localSocket(address string, abs func(string) string) string {
	for _, scheme := range []string{"unix://", "unix:"} {
		if path, ok := strings.CutPrefix(address, scheme); ok && path != "" {
			return "unix:" + abs(path)
		}
	}
	return address
}
