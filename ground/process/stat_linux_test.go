package process

import (
	"strings"
	"testing"
	"time"
)

func TestParseStat_IsNotFooledByNames(t *testing.T) {
	line := "7 (a) R (b\n) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 987 1000 3 18446744073709551615"
	st, err := parseStat(7, []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if st.pgid != 42 || st.state != 'S' || st.name != "a) R (b\n" || st.cpu != 2*time.Second || st.start != "987" {
		t.Errorf("got %+v", st)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7 (sh) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 987 1000 3 1"))
	f.Add([]byte("(" + strings.Repeat(")", 30)))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(1, b) })
}
