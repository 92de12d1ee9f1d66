package message_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/message"
)

// format is a way to write messages.
type format struct {
	name   string
	append func(*message.Type, []byte, reflect.Value) ([]byte, error)
	decode func(*message.Type, []byte, reflect.Value) error
}

var formats = []format{
	{"CBOR", (*message.Type).AppendCBOR, (*message.Type).DecodeCBOR},
	{"XML", (*message.Type).AppendXML, (*message.Type).DecodeXML},
	{"plain", (*message.Type).AppendPlain, func(t *message.Type, b []byte, v reflect.Value) error { return t.DecodePlain(string(b), v) }},
}

func write(t testing.TB, f format, v any) ([]byte, error) {
	t.Helper()
	typ, err := message.Of(reflect.TypeOf(v))
	if err != nil {
		t.Fatal(err)
	}
	return f.append(typ, nil, reflect.ValueOf(v))
}

func read[T any](t testing.TB, f format, data []byte) (T, error) {
	t.Helper()
	var v T
	return v, f.decode(of[T](t), data, reflect.ValueOf(&v).Elem())
}

// reread writes and reads a value.
func reread[T any](t testing.TB, f format, v T) (T, []byte) {
	t.Helper()
	data, err := write(t, f, v)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	out, err := read[T](t, f, data)
	if err != nil {
		t.Fatalf("%s: %q: %v", f.name, data, err)
	}
	return out, data
}

func TestFormats_ReadWhatTheyWrite(t *testing.T) {
	v, err := decode[every](t, whole)
	if err != nil {
		t.Fatal(err)
	}
	type word struct{ Value string }
	type odd struct {
		A     string `json:"a <b>"`
		Field bool
		Entry []*int
	}
	one := 1
	for _, f := range formats {
		back, data := reread(t, f, v)
		if got := encode(t, back); got != whole {
			t.Errorf("%s: %s", f.name, cmp.Diff(got, whole))
		}
		for range 10 {
			if again, _ := write(t, f, v); !bytes.Equal(again, data) {
				t.Fatalf("%s: written in two ways: %q, %q", f.name, data, again)
			}
		}
		for _, text := range []string{"", " ", "a\r\nb\tc ", `"quoted"`, "<&>]]>'", "ünï\u2028\U0001F600", "null", "a: b", strings.Repeat("long ", 10000)} {
			if back, data := reread(t, f, word{text}); back.Value != text {
				t.Errorf("%s: %q became %q by %.100q", f.name, text, back.Value, data)
			}
			v := map[string]any{text: []any{text, nil, true, 1.5, map[string]any{"": text}}}
			if back, data := reread(t, f, v); !cmp.Equal(back, v) {
				t.Errorf("%s: %s by %.100q", f.name, cmp.Diff(v, back), data)
			}
		}
		o := odd{"x", true, []*int{nil, &one}}
		if back, data := reread(t, f, o); !cmp.Equal(back, o) {
			t.Errorf("%s: %s by %s", f.name, cmp.Diff(o, back), data)
		}
	}
}

func TestCBOR_IsTheCoreDeterministicEncoding(t *testing.T) {
	type point struct {
		Long  uint64
		B     float64
		A     int
		Bytes []byte
	}
	for want, v := range map[string]any{
		"a46161206162f93e00646c6f6e671bffffffffffffffff65627974657342ff00": point{math.MaxUint64, 1.5, -1, []byte{0xff, 0}},
		"83f5f6fb3ff199999999999a": []any{true, nil, 1.1},
		"820102":                   map[int]struct{}{2: {}, 1: {}},
		"828201616182026162":       map[int]string{2: "b", 1: "a"},
	} {
		data, err := write(t, formats[0], v)
		if err != nil || hex.EncodeToString(data) != want {
			t.Errorf("%v: got %x, %v, want %s", v, data, err, want)
		}
	}
}

func TestCBOR_ReadsWhatOthersWrite(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"bf6269640763616e79820102ff", `{"id":7,"any":[1,2]}`},                                          // of unknown length
		{"a1647768656ec074323031332d30332d32315432303a30343a30305a", `{"when":"2013-03-21T20:04:00Z"}`}, // tag 0
		{"a1647768656ec11a514b67b0", `{"when":"2013-03-21T20:04:00Z"}`},                                 // tag 1
		{"a163626967c249010000000000000000", `{"big":18446744073709551616}`},                            // bignum
		{"a164677269 64a201617802 6179", `{"grid":[[1,"x"],[2,"y"]]}`},                                  // a map with numbers as keys
		{"d9d9f7a1626964fa40e00000", `{"id":7}`},                                                        // self-described; a float that is whole
		{"a264626c6f6243000102656d61796265f7", `{"blob":"AAEC"}`},                                       // undefined
	} {
		data, err := hex.DecodeString(strings.ReplaceAll(c.data, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := read[every](t, formats[0], data)
		if err != nil {
			t.Errorf("%s: %v", c.data, err)
			continue
		}
		want, err := decode[every](t, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := encode(t, got), encode(t, want); got != want {
			t.Errorf("%s: %s", c.data, cmp.Diff(got, want))
		}
	}
}

type generic[A, B any] struct {
	A A
	B []B
}

func TestName_IsAWordAlsoOfGenericTypes(t *testing.T) {
	for want, got := range map[string]string{
		"inner": of[**inner](t).Name(), "genericinnernode": of[generic[inner, node]](t).Name(),
		"genericintgenericRulestring": of[generic[int, generic[*Rule, string]]](t).Name(), "": of[struct{ X int }](t).Name(),
		"[]int": of[[]int](t).Name(), "[]inner": of[[]*inner](t).Name(), "map[string][]inner": of[map[string][2]inner](t).Name(), "map[int]any": of[map[int]any](t).Name(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Rule is a type of this package.
type Rule struct{ Text string }

func TestXML_IsReadable(t *testing.T) {
	type Note struct {
		Title string
		Tags  []string
		Extra map[string]int
		By    *inner
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Note><title>a &lt; b</title><tags><item>x</item></tags><extra><entry name="n">1</entry></extra></Note>` + "\n"
	data, err := write(t, formats[1], Note{Title: "a < b", Tags: []string{"x"}, Extra: map[string]int{"n": 1}})
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v", data, err)
	}
	got, err := read[Note](t, formats[1], []byte(`<?xml version='1.0'?><!-- by hand -->
		<Note xmlns="urn:notes">
			<title><![CDATA[a < b]]></title>
			<by><price> 3 </price></by>
			<tags/>
		</Note>`))
	if err != nil || got.Title != "a < b" || got.By.Price != 3 || got.Tags == nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPlain_IsForPeople(t *testing.T) {
	type Output struct{ Value float64 }
	type Note struct {
		Title, Text string
		Tags        []string
		Done        bool
	}
	for want, v := range map[string]any{
		"3.375\n": Output{3.375},
		"title: Milk: buy\ntext: \"two\\nlines\"\ntags: [\"x\"]\ndone: true\n": Note{"Milk: buy", "two\nlines", []string{"x"}, true},
	} {
		if data, err := write(t, formats[2], v); err != nil || string(data) != want {
			t.Errorf("got %q, %v, want %q", data, err, want)
		}
	}
	got, err := read[Note](t, formats[2], []byte("\r\n title :  Milk\r\ndone:true\n"))
	if err != nil || got.Title != "Milk" || !got.Done {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFormats_SayWhatIsWrong(t *testing.T) {
	const head = "<every>"
	deep := strings.Repeat("<next>", 200)
	for _, c := range []struct {
		format int
		data   string
		want   string
	}{
		{0, "\xa1\x62id\x61x", "id: must be a number, not a text"},
		{0, "\xa1\x61x\x01", "x: there is no such field"},
		{0, "\xa2\x62id\x01\x62id\x02", "a name is there twice"},
		{0, "\xa1\x62id", "not CBOR: unexpected EOF"},
		{0, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "not CBOR"},
		{0, "\x9a\x7f\xff\xff\xff", "not CBOR"},
		{0, "\xa0\xa0", "1 bytes of extraneous data"},
		{0, "\xa1\x65color\x61\xff", "not CBOR: cbor: invalid UTF-8"},
		{0, "\xa1\x65ratio\xf9\x7e\x00", "ratio: must be a number, and finite"},
		{0, "\xa1\x64tags\x82\x61a\x81\xf9\x7c\x00", "tags[1][0]: must be a number, and finite"},
		{0, "\xa1\x63any\xd9\x12\x34\x01", "any: the tag 4660 is not known"},
		{0, "\xa1\x63any\xf8\xff", "any: a cbor.SimpleValue cannot be"},
		{0, "\xa1\x64when\xc1\xfb\x42\xf0\x00\x00\x00\x00\x00\x00", "when: a time's year"},
		{0, "\xa1\x63big\xc2\x59\x20\x00" + strings.Repeat("\xff", 0x2000), "big: a number must have at most 10000 digits"},
		{0, strings.Repeat("\x81", 1000) + "\x01", "nested more than 100"},
		{0, strings.Repeat("\x81", 110) + "\x01", "nested more than 100"},

		{1, "", "the XML ends too early"},
		{1, "<other/>", "its element must be <every>, not <other>"},
		{1, head, "not XML: XML syntax error"},
		{1, "<every/><every/>", "something follows"},
		{1, head + "x</every>", `the text "x" is out of place`},
		{1, head + "<id>x</id><no><deep/></no></every>", "id: must be a number, not a text; no: there is no such field"},
		{1, head + "<id>1</id><id>2</id></every>", `the name "id" is there twice`},
		{1, head + "<id><b/></id></every>", "id: <b> is out of place"},
		{1, head + "<items><x/></items></every>", "items: want <item>, not <x>"},
		{1, head + "<items><item><price>x</price></item></items></every>", "items[0].price: must be a number"},
		{1, head + "<prices><x/></prices></every>", `prices: want <entry name="...">, not <x>`},
		{1, head + "<grid><entry><key>1</key></entry></grid></every>", "grid[0]: an entry must have a <key> and a <value>"},
		{1, head + `<any type="number">x</any></every>`, "any: is no number"},
		{1, head + `<any type="date">x</any></every>`, `any: there is no type "date"`},
		{1, head + `<maybe nil="true">x</maybe></every>`, "maybe: the text"},
		{1, head + "<color>\xff</color></every>", "not XML: XML syntax error on line 1: invalid UTF-8"},
		{1, "<?xml version='1.0' encoding='latin1'?><every/>", "charset"},
		{1, `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><every><color>&b;</color></every>`, "a document type is not allowed"},
		{1, head + "<color>&b;</color></every>", "not XML: XML syntax error on line 1: invalid character entity &b;"},
		{1, head + "<tree>" + deep, "nested more than 100"},

		{2, "id 7", `the line "id 7" is not of the form`},
		{2, "id: x\nno: 1", "id: must be a number, not a text; no: there is no such field"},
		{2, "id: 1\nid: 2", `the name "id" is there twice`},
		{2, "color: blue", "color: must be one of red, green"},
		{2, "items: [{\"price\":-1}]", "items[0].price: must be at least 0"},
		{2, "\xff", "is not UTF-8"},
	} {
		f := formats[c.format]
		_, err := read[every](t, f, []byte(c.data))
		if _, ok := err.(message.Problems); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.60q: got %v, want %s", f.name, c.data, err, c.want)
		}
	}
}

func TestFormats_WriteNoNonsense(t *testing.T) {
	var loop node
	loop.Next = &loop
	for _, f := range formats {
		for want, v := range map[string]any{
			"NaN":         struct{ X []float64 }{[]float64{math.NaN()}},
			"UTF-8":       map[string]string{"a": "\xff"},
			"levels deep": loop,
		} {
			if data, err := write(t, f, v); err == nil || !strings.Contains(err.Error(), want) || len(data) > 0 {
				t.Errorf("%s: got %.40q, %v, want %s", f.name, data, err, want)
			}
		}
	}
	if _, err := write(t, formats[1], struct{ A []string }{[]string{"\x00"}}); fmt.Sprint(err) != "a[0]: a text has the character U+0000, which XML has not" {
		t.Errorf("got %v", err)
	}
}

// Whatever is read can be written, and is read again as the same.
func fuzzFormat(f *testing.F, one format, seeds ...string) {
	v, err := decode[every](f, whole)
	if err != nil {
		f.Fatal(err)
	}
	data, err := write(f, one, v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := read[every](t, one, data)
		if err != nil {
			return
		}
		text := encode(t, v)
		back, _ := reread(t, one, v)
		if again := encode(t, back); again != text {
			t.Error(cmp.Diff(text, again))
		}
	})
}

func FuzzDecodeCBOR(f *testing.F) {
	fuzzFormat(f, formats[0], "\xa1\x63any\xbf\x01\x02\xff", "\xa1\x63any\x82\xc2\x41\x05\xf9\x3e\x00")
}

func FuzzDecodeXML(f *testing.F) {
	fuzzFormat(f, formats[1], `<every><any type="object"><entry name="x"><item/></entry></any><maybe nil="1"/></every>`)
}

func FuzzDecodePlain(f *testing.F) {
	fuzzFormat(f, formats[2], "id: 3\nany: \"x\"\ncolor: \"red\"\nmaybe: null", "span: 1h\naddr: ::1")
}
