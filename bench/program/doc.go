// Command program is what a user would write: functions, and a boss that
// calls them. The benchmark builds it, gives it a fleet by BECOME_URL and BECOME_KEY, and asks it
// questions on its standard input; each file answers one. Started by a node it is a worker.
//
//	bench → [program: boss] → node, worker: program again
//
// It imports nothing of the benchmark but the protocol of the questions, so that it is as
// large, and starts as fast, as a user's program.
package main
