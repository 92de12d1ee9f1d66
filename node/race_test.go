//go:build race

package node_test

// raced: everything takes ten times as long.
const raced = true
