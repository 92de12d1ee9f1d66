//go:build !unix

package main

import (
	"errors"
	"time"
)

const (
	childEnv = "CASVARIANTS_CHILD"
	fileEnv  = "CASVARIANTS_FILE"
)

// variants are those that this platform can have.
func variants() map[string]variant { return map[string]variant{"threads": threads} }

func childHere() bool { return false }

func hello() error { return errors.New("processes like this are there on Unix only") }

func processorTime() time.Duration { return 0 }
