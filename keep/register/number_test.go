package register_test

import (
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
)

func TestNumber_ReadsAndPrints(t *testing.T) {
	for _, s := range []string{"0", "1", "9999999999999999999", "18446744073709551614", "18446744073709551615",
		"18446744073709551616", "99999999999999999999", strings.Repeat("9", 500)} {
		n, err := register.Parse("000" + s)
		if err != nil || n.String() != s || n.Big().String() != s || string(n.Append(nil)) != s {
			t.Errorf("%s: got %v, %v", s, n, err)
		}
		if same, err := register.FromBig(n.Big()); same != n || err != nil {
			t.Errorf("%s: a big.Int makes %v of it, %v", s, same, err)
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil && register.Uint(u) != n {
			t.Errorf("%s: Uint makes %v of it", s, register.Uint(u))
		}
		text, _ := n.MarshalText()
		var back register.Number
		if err := back.UnmarshalText(text); err != nil || back != n {
			t.Errorf("%s: read back as %v, %v", s, back, err)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1 ", "0x1", "1_0", "٣"} {
		if n, err := register.Parse(s); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %v, %v", s, n, err)
		}
	}
	if n, err := register.FromBig(big.NewInt(-1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("-1: got %v, %v", n, err)
	}
}
