// Package sources notices when what a program is built from changes: the Go files of its package and of those that it
// imports from its own modules, the files they embed, go.mod, go.sum and go.work; or an executable.
//
//	editor → files → [sources] → build, swap
//
// It looks at the files' sizes and times several times a second, which takes a millisecond for some hundred files. Unlike the
// kernel's notifications that is the same on every system, in containers and on network disks, has no limit on
// how many folders are watched, and cannot miss what an editor does by renaming.
//
// # Guarantees
//
//   - A change is told when nothing has changed any more for one interval, so that
//     what is saved together is built together.
//   - What changes while a change is being handled is told after it.
//   - New files count, in new folders too, as soon as something imports or embeds them. Tests do not.
//
// # A first program
//
//	set, err := sources.Of(ctx, "./hello", ".")
//	if err != nil {
//		return err
//	}
//	w := sources.Watch(ctx, set, 0)
//	defer w.Wait()
//	for range w.Changed() {
//		build()
//	}
package sources
