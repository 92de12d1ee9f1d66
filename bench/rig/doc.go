// Package rig is what every measure stands on: processes that answer
// questions, rounds taken in turns, and the table.
//
//	measure → [rig] → process: a program on a fleet, or a peer
//
// # How a comparison is made
//
// Both sides run at the same time as separate processes and are asked in turns, so that
// a machine that becomes slower becomes slower for both. Each side's figure is the median
// of its rounds, and the claim is their ratio.
package rig
