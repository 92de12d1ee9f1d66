// Package notify tells the service manager that started this program, systemd for example, what the program is at: that
// it is ready, loads anew, stops, still lives.
//
//	program → [notify] → service manager
//
// The protocol is that of sd_notify(3): lines of text in datagrams to the Unix socket that the environment
// names, also an abstract one. It is written out here because it is so short.
//
// # Guarantees
//
//   - [Take] takes the variables away: no child speaks for this program.
//   - Without a service manager every call does nothing. A manager that does not listen costs a call nothing but
//     its message, which is waited for a second at most.
//   - [Notifier.Reloading] carries the time that Type=notify-reload wants (Linux).
//   - [Notifier.Watch] says that the program lives only as long as the check says so.
//
// # A first program
//
//	n, err := notify.Take()
//	if err != nil {
//		return err
//	}
//	n.Ready("serving")
//	defer n.Stopping(0)
//	go n.Watch(ctx, func() bool { return true })
package notify
