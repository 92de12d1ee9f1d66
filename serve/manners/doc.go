// Package manners says how a service treats its peers: how many it serves, how fast it takes
// them, how long it waits for them and how much they may send.
//
//	command line, program, record → [manners] → service
//
// A program says what it wishes, and who runs it may say otherwise: what is set there
// goes first. The same struct is filled from flags and from JSON, and travels to each serving process.
//
// # Guarantees
//
//   - Zero means that nobody has said anything, and None that there is to be no limit.
//   - All numbers are per process: two processes that share a socket hold twice as many connections.
//   - What cannot be is refused with fault.Invalid before anything starts.
//
// # A first program
//
//	own := manners.Manners{MaxConns: 1000, IdleMS: 60_000}
//	var asked manners.Manners
//	for _, f := range asked.Flags() {
//		flag.Func(f.Name, f.Usage, f.Set)
//	}
//	flag.Parse()
//	m := asked.Over(own)
package manners
