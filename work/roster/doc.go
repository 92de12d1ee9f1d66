// Package roster is what bosses, nodes and workers say to one another over the
// bus to find each other: which bundle is wanted, who can run it, which worker
// is up and where its line is answered.
//
//	boss → [want] → node → worker up → [up] → boss → line → worker
//
// It holds messages, subjects and which lines a query of logs means, so that boss, node and worker never
// import one another.
//
// # The conversation
//
// A boss subscribes to [Up] and [Down] of a digest, then sends a [Want] with an
// inbox. Every node answers once, at once: with its workers that are ready, that
// it is starting some, or why it cannot. A node that starts a worker later
// announces it on [Up]. The boss repeats the want every [RenewWant] for as long
// as it has use for the bundle; a node may stop workers that nobody wanted
// for longer than [WantLasts] and that have nothing to do.
package roster
