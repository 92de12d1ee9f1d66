// Package wire is what a keeper and the serving processes that it starts tell
// one another: JSON in frames (see package line) on an inherited socket.
//
//	keeper ──Start──▶ process      become this service, on these sockets
//	keeper ◀─Ready─── process      I accept
//	keeper ◀─Stats─── process      what is open, at most every 250 ms
//	keeper ──Log────▶ process      log at this level from now on
//	keeper ──Settings▶ process     take these, as you run
//	keeper ◀─Took──── process      I have the newest ones, or why not
//	keeper ──Drain──▶ process      accept no more, end what is open, leave
//	keeper ◀─Failed── process      I cannot, and why
//
// The descriptor of the line is in the environment, Env; the sockets are the descriptors
// after it, in the order of Start.Sockets. The end of the line is the keeper's death: a
// process that sees it drains by itself.
package wire
