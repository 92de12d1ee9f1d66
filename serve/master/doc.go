// Package master is what a prefork master does on one machine: it opens the sockets that a
// description asks for and has processes serve on them, version after version.
//
//	Spec → [master] → socket, keeper → process
//
// A Spec is plain JSON, so that the command line, a record in a fleet and a file mean the same.
// What listens where may change with a version: a socket that both versions ask for stays open, a new
// one is opened first, and one that nobody asks for any more is closed once the new version has stood
// its probation.
//
// # Guarantees
//
//   - Everything that can be checked is checked before anything changes: a deploy that fails leaves
//     the old version and its sockets as they were.
//   - Those of package keeper: no connection fails while versions change, dead processes are
//     replaced, a version that does not last is undone by itself.
//   - The program can be replaced while the service goes on, with its sockets: [Master.Handover], [Adopt].
//   - An address that another service of the program holds is refused with who holds it.
//
// # A first program
//
//	m, err := master.New(nil)
//	if err != nil {
//		return err
//	}
//	defer m.Close(ctx)
//	spec := master.Spec{Listen: []string{":8080"}, Procs: 4}
//	if err := m.Deploy(ctx, spec, master.Program{Path: "/srv/hello"}); err != nil {
//		return err
//	}
package master
