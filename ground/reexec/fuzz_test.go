package reexec

import (
	"testing"

	"github.com/universal-server/become/ground/fault"
)

func FuzzDecode(f *testing.F) {
	data, err := encode(map[string]int{"round": 1}, []int{3, 7})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"pid":7,"files":[1,-1],"state":null}`))
	f.Add([]byte(`{"pid":7,"files":[3,9],"state":{"a":[1]}}`))
	f.Add([]byte(`{"pid":7,"files":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := decode(data, 7)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("got an error of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		for _, fd := range l.Files {
			if l.PID != 7 || fd < 3 {
				t.Errorf("took %+v", l)
			}
		}
	})
}
