package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/cmd/become/archive"
)

func (a *app) snapshotCommand() *cobra.Command {
	return &cobra.Command{
		Use: "snapshot FILE", Short: "Keep the fleet's services, settings, names and code in a file", Args: wants(1, 1, "one FILE"),
		Long: `Keep what the fleet is in one zip archive: its services as they are now, with their settings, the names of functions, and the code
of both. The file is written whole or not at all, and only its owner can read it, as settings may hold secrets. What the fleet works on is not in
it: jobs, results, registers, values and logs; nor the history of services. Copy the home folder of a stopped node for all of it.`,
		Example: "  become snapshot fleet.zip\n  become restore fleet.zip",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), kept, func(ctx context.Context, s *session) error { return a.snapshot(ctx, s, args[0]) })
		},
	}
}

// leftOut is what no snapshot has: it changes while it would be copied, store by store, and what is restored would be a state that never was.
var leftOut = []string{"jobs", "results", "registers", "values", "logs", "the history of services"}

func (a *app) snapshot(ctx context.Context, s *session, path string) error {
	f, err := fleetNow(ctx, s)
	if err != nil {
		return err
	}
	err = archive.Write(path, f, func(digest string) (io.ReadCloser, error) { return s.Bundles().Open(ctx, digest) })
	if err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.err, "become: what the fleet works on is not in it: %s\n", strings.Join(leftOut, ", "))
	}
	return a.done(map[string]any{"written": path, "services": len(f.Roles), "names": len(f.Names), "bundles": len(f.Bundles), "without": leftOut},
		fmt.Sprintf("wrote %s; services: %d, names: %d, bundles: %d", path, len(f.Roles), len(f.Names), len(f.Bundles)))
}

// fleetNow is what the fleet is now, without what it was before.
func fleetNow(ctx context.Context, s *session) (f archive.Fleet, err error) {
	f.Taken, f.By = time.Now().UTC(), me()
	all, err := takeInventory(ctx, s)
	if err != nil {
		return f, err
	}
	f.Roles, f.Names = all.services, all.functions
	digests := map[string]bool{"": true}
	add := func(digest string) error {
		if digests[digest] {
			return nil
		}
		digests[digest] = true
		m, err := s.Bundles().Manifest(ctx, digest)
		f.Bundles = append(f.Bundles, m)
		return err
	}
	for i := range f.Roles {
		r := &f.Roles[i]
		r.Before, r.Changes, r.Report = nil, nil, ""
		if err := add(r.Now.Digest); err != nil {
			return f, err
		}
	}
	for i := range f.Names {
		f.Names[i].History = nil
		if err := add(f.Names[i].Digest); err != nil {
			return f, err
		}
	}
	return f, nil
}
