package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "Make and look at keys", Args: cobra.ArbitraryArgs, RunE: onlySubcommands,
		Long: `A fleet has one key. Who holds it may do everything: give it to nodes and to the
people who deploy, as a file only they can read. A node makes one in its home by itself.`,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "new [FILE]", Short: "Make a key", Args: wants(0, 1, "one FILE at most"),
			Long:    "Make a key in FILE, which must not exist and only its owner can read; without FILE print it.",
			Example: "  become key new fleet.key\n  become up --listen 0.0.0.0:4321 --key fleet.key",
			RunE: func(_ *cobra.Command, args []string) error {
				if len(args) == 0 {
					k := key.New()
					if a.json {
						return a.printJSON(map[string]string{"key": k.String(), "public": k.Public().String()})
					}
					_, err := fmt.Fprintln(a.out, k.String())
					return err
				}
				return a.newKey(args[0])
			},
		},
		&cobra.Command{
			Use: "show-public [FILE]", Short: "Print the public half of a key", Args: wants(0, 1, "one FILE at most"),
			Long:    "Print the public half of the key in FILE, or of the home's. It is no secret: it lets check, not sign.",
			Example: "  become key show-public fleet.key",
			RunE: func(_ *cobra.Command, args []string) error {
				path := a.keyFor(a.homeDir())
				if len(args) > 0 {
					path = args[0]
				}
				k, err := fleet.ReadKey(path)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"public": k.Public().String()})
				}
				_, err = fmt.Fprintln(a.out, k.Public().String())
				return err
			},
		},
		a.ticketCommand(),
	)
	return cmd
}

func (a *app) newKey(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return fault.Text(fault.Conflict, "make key", path, "there is a file already").WithHint("a lost key cannot be made again: choose another file")
	}
	k := key.New()
	if err := k.Save(path); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"file": path, "public": k.Public().String()})
	}
	_, err := fmt.Fprintf(a.out, "%s holds a new key; its public half is %s\n", path, k.Public().String())
	return err
}
