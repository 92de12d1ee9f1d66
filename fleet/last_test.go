package fleet

import (
	"testing"
	"testing/synctest"
	"time"
)

// More than a day of a fleet: a value that was stored again is there for a whole day more, and a job that was
// cancelled stays so while another holds the only worker.
func TestLocal_ThingsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, ids := busy(t, 2)
		defer f.Close()
		for _, wait := range []time.Duration{ValuesLast / 3, ValuesLast} {
			name, err := f.Values().Store(t.Context(), []byte("value"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			if v, err := f.Values().Load(t.Context(), name); string(v) != "value" {
				t.Errorf("%v after it was stored: %q, %v", wait, v, err)
			}
		}
		if j, err := f.Job(t.Context(), ids[1], 0); j.State != JobCanceling {
			t.Errorf("the cancelled job is %q, %v", j.State, err)
		}
	})
}
