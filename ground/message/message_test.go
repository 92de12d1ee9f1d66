package message_test

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/message"
)

type base struct {
	ID int `json:"id"`
}

type inner struct {
	Price float64 `minimum:"0" default:"2.5"`
	Label string  `maxLength:"3"`
}

type node struct {
	Next *node
	N    int
}

type every struct {
	base
	Flag     bool
	Small    int8
	Big      big.Int
	Size     uint16
	HTTPPort int `default:"80" minimum:"1" maximum:"65535"`
	Ratio    float32
	Color    string `enum:"red,green" default:"red"`
	Blob     []byte
	When     time.Time
	Span     time.Duration `default:"1h30m"`
	Addr     netip.Addr
	Items    []inner
	Pair     [2]int
	Tags     map[string]struct{} `maxLength:"2"`
	Prices   map[string]float64
	Grid     map[int]string
	Maybe    *string
	Any      any
	Tree     node
	Secret   string `json:"-"`
}

func of[T any](t testing.TB) *message.Type {
	t.Helper()
	typ, err := message.Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func decode[T any](t testing.TB, text string) (T, error) {
	t.Helper()
	var v T
	err := of[T](t).Decode([]byte(text), reflect.ValueOf(&v).Elem())
	return v, err
}

func encode(t testing.TB, v any) string {
	t.Helper()
	typ, err := message.Of(reflect.TypeOf(v))
	if err != nil {
		t.Fatal(err)
	}
	b, err := typ.Append(nil, reflect.ValueOf(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const whole = `{"id":7,"flag":true,"small":-128,"big":123456789012345678901234567890,"size":65535,"http_port":8080,` +
	`"ratio":0.25,"color":"green","blob":"AAEC","when":"2026-01-02T03:04:05.5Z","span":"250ms","addr":"127.0.0.1",` +
	`"items":[{"price":1,"label":"äöü"}],"pair":[1,2],"tags":["a","b"],"prices":{"a":1,"b":2},"grid":[[1,"x"],[2,"y"]],` +
	`"maybe":"so","any":{"deep":[1,null,"x"]},"tree":{"next":{"n":2},"n":1}}`

func TestType_ReadsWhatItWrites(t *testing.T) {
	v, err := decode[every](t, whole)
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(t, v); got != whole {
		t.Errorf("got  %s\nwant %s", got, whole)
	}
	if v.ID != 7 || v.Items[0].Label != "äöü" || v.Grid[2] != "y" || v.Tree.Next.N != 2 || *v.Maybe != "so" {
		t.Errorf("got %+v", v)
	}
}

func TestDecode_SetsDefaultsThatAreNotShared(t *testing.T) {
	type list struct {
		All []int `default:"[1,2]"`
	}
	a, err := decode[list](t, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	a.All[0] = 9
	if b, _ := decode[list](t, `{}`); b.All[0] != 1 {
		t.Error("two messages share a default")
	}
	v, err := decode[every](t, `{"items":[{}]}`)
	if err != nil || v.HTTPPort != 80 || v.Color != "red" || v.Span != 90*time.Minute || v.Items[0].Price != 2.5 {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestDecode_NamesEachFieldThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"flag":1}`:       "flag: must be a boolean, not a number",
		`{"small":128}`:    "small: the number is out of range",
		`{"small":1.5}`:    "small: must be a whole number",
		`{"size":-1}`:      "size: must not be below zero",
		`{"ratio":1e39}`:   "ratio: the number is out of range",
		`{"ratio":"1"}`:    "ratio: must be a number, not a text",
		`{"big":"12x"}`:    "big: must be a whole number",
		`{"blob":"!"}`:     "blob: must be base64",
		`{"when":"today"}`: "when: must be a time as in 2026-01-02T15:04:05Z",
		`{"span":"1 day"}`: "span: must be a duration as in 1h30m or 250ms",
		`{"addr":"x"}`:     `addr: is no Addr: ParseAddr("x"): unable to parse IP`,
		`{"color":"blue"}`: "color: must be one of red, green",
		`{"http_port":0}`:  "http_port: must be at least 1",
		`{"items":[{},{"price":-1,"label":"long"}]}`: "items[1].price: must be at least 0; items[1].label: must have at most 3 characters",
		`{"items":{}}`:                       "items: must be an array, not an object",
		`{"pair":[1]}`:                       "pair: must have 2 elements, not 1",
		`{"tags":["a","a"]}`:                 "tags[1]: it is there twice",
		`{"tags":["a","b","c"]}`:             "tags: must have at most 2 elements",
		`{"grid":[[1]]}`:                     "grid[0]: must be a pair [key, value]",
		`{"grid":{"x":"y"}}`:                 "grid.x: its name must be a whole number",
		`{"maybe":7}`:                        "maybe: must be a text, not a number",
		`{"flag":null}`:                      "flag: must be a boolean, not null",
		`{"tree":{"next":{"next":{"m":1}}}}`: "tree.next.next.m: there is no such field; there is next, n",
		`{"secret":"x"}`:                     "secret: there is no such field; there is ",
		`[]`:                                 "must be an object, not an array",
		`{"flag":true`:                       "the JSON ends too early",
		``:                                   "the JSON ends too early",
		`{"flag":true}}`:                     "something follows the value",
		`{"flag":true,"flag":false}`:         `the name "flag" is there twice`,
		`{"any":{"x":[{"b/~":1,"b/~":2}]}}`:  `any.x[0]: the name "b/~" is there twice`,
		`{"` + strings.Repeat("n", 1000) + `":1,"` + strings.Repeat("n", 1000) + `":2}`: `; the name "` + strings.Repeat("n", 60) + `" is there twice`,
		`{"any":"` + "\xff" + `"}`:                      "any: not JSON at byte 8",
		`{"any":` + strings.Repeat("[", 200) + `]`:      "it is nested more than 100 levels deep",
		`{"tree":` + strings.Repeat(`{"next":`, 200):    "it is nested more than 100 levels deep",
		`{"flag":nope}`:                                 "not JSON at byte",
		`{"big":` + strings.Repeat("9", 20_000) + `}`:   "big: must have at most 10000 digits",
		`{"flag":1,"small":"x","size":true,"ratio":[]}`: "ratio: must be a number, not an array",
	} {
		_, err := decode[every](t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", text, err, want)
		}
	}
	type must struct {
		X int `required:"true"`
	}
	if _, err := decode[must](t, `{}`); err == nil || err.Error() != "x: it is required" {
		t.Errorf("got %v", err)
	}
	var many strings.Builder
	for i := range 50 {
		many.WriteString(`"k` + string(rune('A'+i)) + `":1,`)
	}
	_, err := decode[must](t, "{"+many.String()+`"x":1}`)
	if p, ok := err.(message.Problems); !ok || len(p) != 20 {
		t.Errorf("got %d problems", len(p))
	}
}

func TestDecodeQuery_ReadsWhatPeopleWrite(t *testing.T) {
	read := func(query string) (every, error) {
		var v every
		err := of[every](t).DecodeQuery(query, reflect.ValueOf(&v).Elem())
		return v, err
	}
	v, err := read("ratio=3&flag=true&color=green&span=5s&tags=a&tags=b+c&items=" + `[{"price":4}]` + "&maybe=%C3%A4&pair=[3,4]&any=x&small=1&small=2&")
	if err != nil {
		t.Fatal(err)
	}
	if _, there := v.Tags["b c"]; v.Ratio != 3 || !v.Flag || v.Span != 5*time.Second || !there || v.Items[0].Price != 4 || *v.Maybe != "ä" || v.Pair[1] != 4 || v.Any != "x" || v.Small != 2 || v.HTTPPort != 80 {
		t.Errorf("got %+v", v)
	}
	for query, want := range map[string]string{
		"zork=1":                    "zork: there is no such field; there is id, flag",
		"flag=yes":                  "flag: must be true or false",
		"ratio=NaN":                 "ratio: must be a number, and finite",
		"ratio=x":                   "ratio: must be a number",
		"http_port=99999":           "http_port: must be at most 65535",
		"items=[{\"price\":\"x\"}]": "items[0].price: must be a number, not a text",
		"=1":                        `"": there is no such field`,
		"flag=%zz":                  "flag: it is not escaped as a query is",
		"color=%ff":                 "color: is not UTF-8",
		"tags=a&tags=a":             "tags: it is there twice",
	} {
		if _, err := read(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}

func TestAppend_WritesValidJSONOrNothing(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{math.NaN(), "NaN is no number that JSON has"},
		{[]float64{1, math.Inf(1)}, "[1]: +Inf is no number that JSON has"},
		{map[string]any{"a": []any{"\xff"}}, `["a"][0]: a text is not UTF-8`},
		{struct{ When time.Time }{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "when: its year 10000 cannot be written"},
		{map[string]any{"f": func() {}}, "cannot be part of a message"},
	} {
		typ, err := message.Of(reflect.TypeOf(c.v))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := typ.Append([]byte("x"), reflect.ValueOf(c.v)); err == nil || !strings.Contains(err.Error(), c.want) || string(b) != "x" {
			t.Errorf("%v: got %s, %v, want %s", c.v, b, err, c.want)
		}
	}
	loop := &node{}
	loop.Next = loop
	if _, err := of[*node](t).Append(nil, reflect.ValueOf(loop)); err == nil {
		t.Error("a message that contains itself was written")
	}
	for _, f := range []float64{0, 1e21, -1e-7, 123456789, 0.1, math.MaxFloat64} {
		var back float64
		if err := json.Unmarshal([]byte(encode(t, f)), &back); err != nil || back != f {
			t.Errorf("%v came back as %v, %v", f, back, err)
		}
	}
	if got := encode(t, []int(nil)) + encode(t, map[string]int(nil)) + encode(t, map[int]int(nil)); got != "[]{}[]" {
		t.Errorf("got %s", got)
	}
}

func TestOf_SaysWhatCannotBePartOfAMessage(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{struct{ F func() }{}, ".F: a func() cannot be part of a message"},
		{struct{ A, a2 chan int }{}, ".A: a chan int"},
		{struct{ a int }{}, "none of its fields is exported"},
		{struct {
			X int `minimum:"a"`
		}{}, `its tag minimum:"a"`},
		{struct {
			X string `minimum:"1"`
		}{}, "it does not suit a string"},
		{struct {
			X int `default:"x"`
		}{}, `its default "x"`},
		{struct {
			X int `default:"0" minimum:"1"`
		}{}, `its default "0" must be at least 1`},
		{struct {
			X int `json:"y"`
			Y int
		}{}, `named "y" too`},
		{struct {
			X int `json:"a=b"`
		}{}, "a name cannot be"},
	} {
		if _, err := message.Of(reflect.TypeOf(c.v)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: got %v, want %s", c.v, err, c.want)
		}
	}
}

func TestRestore_ReadsWhatAnotherVersionWrote(t *testing.T) {
	type now struct {
		A int    `minimum:"5"`
		B string `default:"new" required:"true"`
	}
	var v now
	err := of[now](t).Restore([]byte(`{"a":1,"gone":[{"x":1}]}`), reflect.ValueOf(&v).Elem())
	if err != nil || v != (now{1, "new"}) {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := of[now](t).Restore([]byte(`{"a":"x"}`), reflect.ValueOf(&v).Elem()); err == nil {
		t.Error("a text is no number")
	}
}

func TestSnake_WritesGoNamesAsClientsDo(t *testing.T) {
	for name, want := range map[string]string{
		"X": "x", "UserName": "user_name", "HTTPPort": "http_port", "ID": "id", "UserID": "user_id", "X2Y": "x2_y", "already_so": "already_so",
	} {
		if got := message.Snake(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// Whatever is read can be written, and is read again as the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"items":[{"price":1e400}],"grid":{"1":"x"},"any":[12345678901234567890]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decode[every](t, string(data))
		if err != nil {
			return
		}
		text := encode(t, v)
		again, err := decode[every](t, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if back := encode(t, again); back != text {
			t.Error(cmp.Diff(text, back))
		}
	})
}

func FuzzDecodeQuery(f *testing.F) {
	f.Add("ratio=3&tags=a&tags=b&items=[{}]")
	f.Fuzz(func(t *testing.T, query string) {
		var v every
		if of[every](t).DecodeQuery(query, reflect.ValueOf(&v).Elem()) == nil {
			encode(t, v)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	type multiply struct{ X, Y float64 }
	typ := of[multiply](b)
	b.ReportAllocs()
	for b.Loop() {
		var m multiply
		if err := typ.Decode([]byte(`{"x":1.5,"y":2.25}`), reflect.ValueOf(&m).Elem()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeQuery(b *testing.B) {
	type multiply struct{ X, Y float64 }
	typ := of[multiply](b)
	b.ReportAllocs()
	for b.Loop() {
		var m multiply
		if err := typ.DecodeQuery("x=1.5&y=2.25", reflect.ValueOf(&m).Elem()); err != nil {
			b.Fatal(err)
		}
	}
}
