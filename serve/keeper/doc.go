// Package keeper keeps sockets open and processes serving on them, whatever
// becomes of the processes and of their code.
//
//	socket → [keeper] → generation → process → connection
//
// All processes inherit the same open sockets and accept from the same queue; the
// keeper itself never accepts. What it and a process say to one another is in package wire.
//
// A generation is the processes of one version of the program. A new one is started beside
// the old one; when each of its processes says that it accepts, both accept for a moment,
// then the old ones are told to drain. Several generations may drain at once.
//
// # Guarantees
//
//   - The sockets stay open as long as the caller leaves them open. While no process
//     accepts, because all crashed or because of [Keeper.Pause], connects wait in the
//     kernel's queue and are not refused.
//   - No process is told to leave before its successor is ready: not by [Keeper.Deploy],
//     not by [Keeper.Restart], not by [Keeper.Rollback].
//   - A new version that does not become ready, or whose processes die too often until the
//     end of its probation, is undone. Until it was ready the old processes go on as if nothing had
//     been; after that the old program is started again as a new generation. The error of
//     Deploy or [Status].Report says why. Settings that processes took while they run ([Keeper.Configure]) are on probation
//     likewise, and are taken back from the same processes; one that does not give them back is replaced. Of changes that come faster
//     than processes take them the newest counts.
//   - A process that ends without having been told to is replaced at once. Only one that keeps
//     dying soon waits: longer each time, up to Options.BackoffMost, and after
//     too many deaths Options.RetryFailed. It is never given up.
//   - A process that drains is killed when its time is over, with its whole process group, and
//     seen gone. Whoever dies otherwise takes its group along too.
//   - The program that keeps can be replaced while its processes serve on: [Keeper.Handover], [Adopt]. What they
//     print and say meanwhile is read by the next program, drains keep their deadlines, probations go
//     on, and who dies in between is replaced.
//   - Processes that serve together share the processors, each its part, unless GOMAXPROCS in their
//     environment says otherwise.
//   - No process outlives its keeper's program: see package process for how, and for its limits.
//   - Operations wait for one another, each as long as its context allows; the automatic way
//     back after a failed probation is one of them.
//
// # Platforms
//
// Those of package process. Elsewhere Deploy answers with an error of kind fault.Invalid.
//
// # A first program
//
//	listener, err := net.Listen("tcp", "127.0.0.1:8080")
//	if err != nil {
//		return err
//	}
//	file, err := listener.(*net.TCPListener).File()
//	if err != nil {
//		return err
//	}
//	k, err := keeper.New([]keeper.Socket{{
//		Socket: wire.Socket{Network: "tcp", Addr: listener.Addr().String()}, File: file,
//	}}, nil)
//	if err != nil {
//		return err
//	}
//	defer k.Close(ctx)
//	if err := k.Deploy(ctx, keeper.Program{Path: "/srv/hello"}, 4); err != nil {
//		return err
//	}
package keeper
