package codec_test

import (
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/codec"
)

type tree struct {
	Name string           `json:"name"`
	Kids []tree           `json:"kids,omitempty"`
	Sum  *big.Int         `json:"sum,omitempty"`
	When time.Time        `json:"when"`
	Tags map[string][]int `json:"tags,omitempty"`
	Raw  []byte           `json:"raw,omitempty"`
}

func roundTrip[T any](t *testing.T, values ...T) {
	t.Helper()
	for _, c := range []codec.Codec[T]{codec.CBOR[T](), codec.JSON[T]()} {
		for _, v := range values {
			b, err := c.Append([]byte("x"), v)
			if err != nil {
				t.Fatalf("encode %v: %v", v, err)
			}
			got, err := c.Decode(b[1:])
			if err != nil {
				t.Fatalf("decode %v from %x: %v", v, b[1:], err)
			}
			if d := cmp.Diff(v, got, cmp.Comparer(func(a, b *big.Int) bool {
				return a == b || a != nil && b != nil && a.Cmp(b) == 0
			})); d != "" {
				t.Errorf("%T changed on its way: %s", v, d)
			}
		}
	}
}

func TestCodec_ValuesArriveAsTheyWere(t *testing.T) {
	roundTrip(t, 0, 1, 23, 24, 255, 256, 65535, 65536, math.MaxInt32, math.MaxInt64, -1, -24, -25, -256, -257, math.MinInt64)
	roundTrip[int64](t, 0, -1, math.MaxInt64, math.MinInt64)
	roundTrip(t, "", "a", strings.Repeat("ü", 300))
	roundTrip(t, true, false)
	roundTrip(t, 0.0, 1.5, -math.MaxFloat64, math.SmallestNonzeroFloat64)
	roundTrip(t, struct{}{})
	roundTrip(t, []byte{}, []byte{0, 255})
	roundTrip(t, new(big.Int).Exp(big.NewInt(7), big.NewInt(500), nil), big.NewInt(-3))
	roundTrip(t, tree{Name: "root", Kids: []tree{{Name: "leaf", When: time.Unix(1, 5).UTC()}}, Sum: big.NewInt(9),
		When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Tags: map[string][]int{"a": {1}}, Raw: []byte("b")})
}

func TestCodec_RefusesWhatIsNoValueOfTheType(t *testing.T) {
	for name, decode := range map[string]func([]byte) error{
		"int":    func(b []byte) error { _, err := codec.CBOR[int]().Decode(b); return err },
		"bool":   func(b []byte) error { _, err := codec.CBOR[bool]().Decode(b); return err },
		"string": func(b []byte) error { _, err := codec.CBOR[string]().Decode(b); return err },
		"float":  func(b []byte) error { _, err := codec.CBOR[float64]().Decode(b); return err },
		"tree":   func(b []byte) error { _, err := codec.CBOR[tree]().Decode(b); return err },
	} {
		for _, b := range []string{"", "\x18", "\x82\x01", "\x01\x01", "\x9f\xff\x00", "\x5a\xff\xff\xff\xff"} {
			if err := decode([]byte(b)); err == nil {
				t.Errorf("%s took %x", name, b)
			}
		}
	}
}

func TestCheck_NamesTheFieldThatCannotTravel(t *testing.T) {
	type inner struct{ C chan int }
	type outer struct{ In []inner }
	type hidden struct{ x int }
	for _, c := range []struct {
		t    reflect.Type
		want string
	}{
		{reflect.TypeFor[outer](), "codec_test.outer.In.C: a chan has no form"},
		{reflect.TypeFor[func()](), "a func has no form"},
		{reflect.TypeFor[map[string]complex128](), "a complex128"},
		{reflect.TypeFor[hidden](), "none of its fields is exported"},
	} {
		err := codec.Check(c.t)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check(%v) = %v, want %q", c.t, err, c.want)
		}
	}
	_ = hidden{}.x
	for _, ok := range []reflect.Type{reflect.TypeFor[tree](), reflect.TypeFor[any](), reflect.TypeFor[struct{}]()} {
		if err := codec.Check(ok); err != nil {
			t.Errorf("Check(%v) = %v", ok, err)
		}
	}
}

func TestSchema_DescribesTheJSONForm(t *testing.T) {
	got := string(codec.Schema(reflect.TypeFor[tree]()))
	for _, want := range []string{`"$ref":"#/$defs/tree"`, `"name":{"type":"string"}`, `"required":["name","when"]`,
		`"sum":{"type":"integer"}`, `"contentEncoding":"base64"`} {
		if !strings.Contains(got, want) {
			t.Errorf("schema lacks %s:\n%s", want, got)
		}
	}
	if got := string(codec.Schema(reflect.TypeFor[int]())); got != `{"type":"integer"}` {
		t.Errorf("schema of int = %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\xa1dname\x61x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		codec.CBOR[tree]().Decode(b)
		codec.CBOR[any]().Decode(b)
		if n, err := codec.CBOR[int]().Decode(b); err == nil {
			again, _ := codec.CBOR[int]().Append(nil, n)
			if m, err := codec.CBOR[int]().Decode(again); err != nil || m != n {
				t.Fatalf("%x: %d became %d, %v", b, n, m, err)
			}
		}
	})
}

func BenchmarkInt(b *testing.B) {
	c := codec.CBOR[int]()
	var buf []byte
	for i := range b.N {
		buf, _ = c.Append(buf[:0], i)
		c.Decode(buf)
	}
}
