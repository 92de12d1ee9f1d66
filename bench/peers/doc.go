// Package peers starts the systems that are measured beside us, each as real
// processes on this machine, and asks them the same questions.
//
//	measure → [peers] → erl, python3, redis-server, nginx, a bare JetStream, bare Go
//
// A peer that is not installed is a [rig.Missing] error. Peers written in Go
// run in processes of this program: see [Roles].
package peers
