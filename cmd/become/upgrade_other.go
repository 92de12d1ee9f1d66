//go:build !unix

package main

import "os"

// upgradeSignal does not exist here.
var upgradeSignal os.Signal = noSignal{}

type noSignal struct{}

func (noSignal) String() string { return "none" }
func (noSignal) Signal()        {}
