// Package fleet is one process's part in a fleet: its connection to the bus,
// the boss that hands out its calls, the bundles, names, values and jobs. The
// SDK and the command both stand on it.
//
//	become, cmd/become → [fleet] → boss, queue, result, bus
//
// # Finding a fleet
//
// [Connect] takes the URL and key it is given; else those of the environment
// ([EnvURL], [EnvKey]); else those of the node that runs on this machine, from its home
// folder. With none of them it returns fault.NotFound, and [Local] makes a fleet
// out of this process alone.
//
// # Guarantees
//
//   - Nothing is sent before the other end has shown that it belongs to the fleet's key.
//   - A bundle is uploaded once, whoever uses it.
//   - A name resolves to what stands behind it now; the change of a name reaches every connected
//     process without a restart.
package fleet
