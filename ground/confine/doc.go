// Package confine holds a process to limits: what it may use, which privileges it can
// gain, and what it may reach.
//
//	process → [confine] → child
//
// [Rules] say it. Package process puts them in force; others only fill them in.
//
// # How
//
// Resource limits, no_new_privs and Landlock bind the thread that asks for them and all that it
// starts, and two of them can never be taken back. So the parent does not ask for them: the child
// does, before it becomes the program. It is started as the parent's own executable,
// whose init function here finds its orders in the environment, obeys them and executes the
// program: same process, same descriptors, and the signal at the parent's death stays set. It happens
// in an init function because that one runs on the main thread, which holds that signal. A program
// that starts confined processes therefore runs the initializers of packages that come before this one
// once more in each child; it takes milliseconds.
//
// Memory, CPU and tasks are counted by a control group (cgroup v2) of the child's own, which it is born into:
//
//	our control group            where there may be no other process, unless it is the root
//	├── become                   where this program itself moves to, unless it is the root
//	└── become-1234567           locked while this program uses it
//	    ├── 1                    one for each child
//	    └── 2
//
// # Guarantees
//
//   - When a program's first instruction runs, everything is in force. If something cannot be, the
//     program does not start, and the error says what.
//   - A limit that was asked for is held or the start fails; nothing is left out silently. One has two ways:
//     without a control group the parent watches the process's memory. [Plan.Held] tells what is in force
//     and how.
//   - Processes of other programs are never moved to another control group, and a child never leaves the
//     one that this program is in: the administrator's limits stay in force.
//   - Control groups are removed with the last process in them. What a killed program leaves
//     behind, its groups and whoever lives on in them, is ended by the next one that uses the same place.
//
// # What breaks
//
// Without new privileges set-user-ID programs (sudo, ping on some systems, mail) run, but as their
// caller. Landlock says "permission denied" for whatever was forgotten in the rules.
//
// # Platforms
//
// Linux; see [Supported]. Control groups need Linux 5.14 and a place that is writable: root's in a
// container, or a systemd unit with Delegate=yes. Landlock needs Linux 6.2, its ports 6.7.
//
// # A first program
//
//	p, err := process.Start(ctx, process.Spec{
//		Path: "/srv/hello",
//		Confine: confine.Rules{
//			Limits:          confine.Limits{Memory: 256 << 20, CPU: 0.5},
//			NoNewPrivileges: true,
//			Landlock:        &confine.Landlock{ReadOnly: []string{"/srv/pages"}},
//		},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(p.Held()) // [256 MiB of memory (cgroup) ...]
package confine
