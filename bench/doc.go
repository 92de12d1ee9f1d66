// Command bench measures the universal server beside its peers and prints a
// table:
//
//	go run ./bench tasks                  # everything, some minutes
//	go run ./bench tasks --quick          # a tenth of the work
//	go run ./bench tasks --only flight    # one measure, or several: call,map
//	go run ./bench tasks --json
//	go run ./bench serve                  # the same of services
//
// The table is on standard output, progress on standard error. A peer that is not
// installed is named as missing; with BECOME_REQUIRE_PEERS=1 that is a failure. The benchmark
// is a module of its own, so that no peer becomes a dependency of the product.
//
//	[bench] → tasks, serve → rig, peers, load
package main
