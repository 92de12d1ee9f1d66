// Package disk tells how much room a file system has, and writes files whole.
package disk
