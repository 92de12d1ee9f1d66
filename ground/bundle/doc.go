// Package bundle is code that travels: named by its SHA-256 digest, signed,
// stored once in the fleet, cached by each node, verified at every load.
package bundle
