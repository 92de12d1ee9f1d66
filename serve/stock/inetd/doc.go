// Package inetd is a super-server: it starts a program for each connection, which is the program's
// standard input and output.
//
//	peer → connection → [inetd] → program
//
// Any program becomes a network server by it, in any language: what it reads comes from the peer,
// what it prints goes there. The idea is 4.3BSD's inetd ("stream nowait"), the environment is that of its successors.
//
// # What a program gets
//
//   - Descriptors 0 and 1 are the connection itself, blocking as programs expect it: nothing is
//     copied. A connection that is not the system's own, as with TLS, or of which something was read already, is
//     copied to and from a socket pair.
//     Descriptor 2 is the log, line by line; with [Options.Stderr] the connection too.
//   - This process's environment, [Options.Env], and PROTO, TCPLOCALIP, TCPLOCALPORT, TCPREMOTEIP, TCPREMOTEPORT as
//     of tcpserver (tcp-environ(5), numbers only: nobody is asked for names), REMOTE_HOST as of xinetd, and
//     REMOTE_ADDR and REMOTE_PORT as of systemd. On a Unix socket PROTO is UNIX, with UNIXLOCALPATH, and on Linux
//     UNIXREMOTEPID, UNIXREMOTEEUID and UNIXREMOTEEGID.
//   - A process group of its own.
//
// # Guarantees
//
//   - The connection ends when the program does, and with it whatever else is left of its group. What it
//     printed arrives before that, also when the peer has sent more than it read.
//   - A peer that resets its connection, or has closed it when the program does, ends the program: it has [Options.Grace] to
//     notice, then comes SIGTERM, and a grace later SIGKILL. [Options.Within] ends it by the last two.
//   - Above [Options.Max] programs, peers wait in the socket's queue; above [Options.PerPeer] of one address its
//     further connections are closed; above [Options.Rate] they wait.
//   - When the context of [Server.Serve] ends nothing more is accepted and the programs go on, until they end,
//     their connections are closed by the caller, or [Options.DrainTimeout] is over. Then they are killed, and seen gone.
//   - A program that cannot be started costs its own connection. Starts and ends are logged.
//
// # A first program
//
//	s, err := inetd.New([]string{"/bin/cat"}, nil)
//	if err != nil {
//		return err
//	}
//	ln, err := net.Listen("tcp", "127.0.0.1:7000")
//	if err != nil {
//		return err
//	}
//	return s.Serve(ctx, ln)
package inetd
