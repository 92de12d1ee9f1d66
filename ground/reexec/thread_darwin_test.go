package reexec_test

func threadID() int { return 0 }
