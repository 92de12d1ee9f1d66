package process_test

import (
	"os"
	"testing"

	"github.com/universal-server/become/ground/process"
)

func TestStart_AHundredChildrenTakeNoThreads(t *testing.T) {
	threads := func() int {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := threads()
	for range 100 {
		start(t, process.Spec{Path: "/bin/sleep", Args: []string{"60"}})
	}
	if now := threads(); now > before+50 {
		t.Errorf("%d threads, %d before", now, before)
	}
}
