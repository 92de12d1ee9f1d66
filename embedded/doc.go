// Package embedded brings a whole fleet into a program: the bus, a node and its
// worker processes, which are this program started again.
//
//	func main() {
//		become.Init() // a worker of ours never gets past here
//		fleet, err := embedded.Start(ctx, embedded.Options{Home: "/var/lib/app", Workers: 4})
//		...
//		defer fleet.Close()
//		answer, err := crunch.Call(ctx, fleet.Fleet, input)
//	}
//
// It is an import of its own because it links nats-server: a program that only calls and offers
// functions stays small enough to travel. Others can join the fleet with its URL and Key:
// programs, the become command, and nodes on other machines.
package embedded
