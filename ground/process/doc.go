// Package process starts and kills child processes with proof.
//
//	node → [process] → child (→ its own children)
//
// A child is its own process group. What it prints goes to writers of the
// parent, and with Spec.Control it shares a socket pair with the parent: the
// child's end is file descriptor 3 ([Inherited]), the parent's is
// [Process.Control]. Death is the end of that connection, on both sides.
//
// # Guarantees
//
//   - The child inherits descriptor 0 (/dev/null, or Spec.Stdio), 1, 2, with Spec.Control 3, and
//     Spec.ExtraFiles after these. Nothing else, and no environment but Spec.Env.
//   - When the child ends, in whatever way, what is left of its group is killed
//     too, before the child is reaped: as long as it is not reaped nobody else can
//     get its number, so no stranger is ever signalled.
//   - [Process.Kill] returns nil only when the child is reaped and no process of
//     its group runs any more. Otherwise its error lists who survived.
//   - On Linux a child is killed by the kernel when the parent dies, however it dies. What
//     the child has started itself is not, unless it sees to that in the same way, or a control group holds
//     it: then the next program that uses the place ends it.
//   - [Process.Done] closes when the child is reaped and its output was handed to
//     the writers. A process that escaped the group and holds the output open
//     delays this by at most 100 ms; its later output is lost.
//   - A writer that blocks blocks only its own child's output (and Done): the pipe
//     fills and the child waits. One that fails is not called again, and the child
//     goes on printing into nothing.
//   - A child is held to Spec.Confine from its program's first instruction on, or it
//     does not start: see package confine. If that put it into a control group, whoever left
//     the process group is killed there too.
//   - Starting leaves the flags of the parent's descriptors alone: a listener in
//     ExtraFiles stays non-blocking in the parent.
//
// A process that leaves the group with setsid(2) or setpgid(2) leaves these
// guarantees too. A zombie counts as gone: it runs no more, and reaping it is the
// duty of whoever inherited it.
//
//   - A child outlives its program only by [Process.Handover]: the program that replaces this one in the
//     same process can [Adopt] it, with its output and its control connection. If it ends meanwhile, the next
//     program sees how.
//
// # Platforms
//
// Linux and macOS. Rules (Spec.Confine) and the kill at the parent's death need Linux:
// elsewhere a child must watch its control connection. On Windows everything here
// answers with an error of kind fault.Invalid.
//
// # A first program
//
//	p, err := process.Start(ctx, process.Spec{
//		Path: "/bin/sh", Args: []string{"-c", "echo hello; exit 3"},
//		Stdout: os.Stdout,
//	})
//	if err != nil {
//		return err
//	}
//	defer p.Kill()
//	<-p.Done()
//	fmt.Println(p.Exit().Reason) // exit status 3
package process
