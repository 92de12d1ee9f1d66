package keeper

// trial is what new processes must stand: not to die too often, and to become
// ready. The keeper's mu guards it.
type trial struct {
	most   int // deaths that are borne
	deaths int
	over   bool
	err    error // why they did not stand it
}

// diedLocked counts a death for a reason. A hopeless one is enough by itself.
func (t *trial) diedLocked(err error, hopeless bool) {
	if t.over || t.err != nil {
		return
	}
	t.deaths++
	if hopeless || t.deaths > t.most {
		t.err = err
	}
}
