// Package survival holds the tests that put a load on the built command and meanwhile do to it
// what happens in a long life: new versions, good and bad, killed processes, a restart.
//
//	wrk → socket → [become] → processes
//
// The load is wrk's if it is installed, and with BECOME_REQUIRE_PEERS=1 it has to be; then each load
// takes half a minute, else some seconds. Without wrk it is a client of these tests. What
// counts as a failure is strict: a refused connect, a reset, an end of the connection before the answer's, an
// answer that is none, ten seconds without one.
package survival
