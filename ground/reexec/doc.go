// Package reexec lets a running program be replaced by another executable, while
// its children stay its children and chosen files stay open.
//
//	old program → [reexec] → new program        same process, same children
//
// It is execve(2): the process keeps its number, its parent, its children and its place in
// every control group, so a service manager notices nothing. All of the program's memory is
// gone, so it writes down first what its successor has to know ([Exec]), and the
// successor reads it when it starts ([Received]).
//
// # Guarantees
//
//   - Only files that were added to an [Out] stay open, besides 0, 1 and 2. They lose
//     close-on-exec in the very moment of the change, and no child can inherit them by accident.
//   - An Exec that fails changes nothing but what its comment says: the program goes on.
//   - What is written down is in a file without a name, on Linux in memory only. It reaches this
//     process alone: a copy of the environment in a child means nothing.
//   - A file that the successor does not ask for is closed by [In.Done]: none leaks, however often
//     the program is replaced.
//   - Children are not killed by the change, although they are to die with their parent:
//     Linux watches for the end of the thread that started them, which is why a
//     program that wants to be replaced leaves its main thread to [Main]. That is the thread that lives on.
//
// # Signals
//
// SIGHUP, SIGUSR1 and SIGUSR2 do not end a program that is being replaced. Once the successor
// runs, signals wait until it asks for them with [Notify], or until In.Done. Those that come in the
// millisecond or two before are lost; SIGINT and SIGTERM end the program then. Go leaves no other way.
//
// # Platforms
//
// Linux and macOS. Elsewhere Exec answers with an error of kind fault.Invalid.
//
// # A first program
//
//	func init() { runtime.LockOSThread() } // the main goroutine stays on the main thread
//
//	func main() { os.Exit(reexec.Main(run)) }
//
//	func run() int {
//		in, err := reexec.Received()
//		if err != nil {
//			return 1
//		}
//		var state struct{ Socket int }
//		if in == nil { // started by somebody
//			listener, _ = net.Listen("tcp", ":8080")
//		} else {
//			in.State(&state)
//			file, _ := in.File(state.Socket)
//			listener, _ = net.FileListener(file)
//			file.Close()
//			in.Done()
//		}
//		// … serve until there is a new version …
//		var out reexec.Out
//		state.Socket, _ = out.Add(listener.(*net.TCPListener))
//		err = reexec.Exec(path, os.Args, state, &out)
//		fmt.Println("the old version goes on:", err)
//	}
package reexec
