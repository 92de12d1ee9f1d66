package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byLibrary are the tokens that encoding/xml reads; false if it refuses the data.
func byLibrary(data []byte) (all tokens, ok bool) {
	all = tokens{}
	p := newParser(bytes.NewReader(data))
	for {
		tok, err := p.d.Token()
		if errors.Is(err, io.EOF) {
			return all, true
		}
		if err != nil {
			return nil, false
		}
		if _, declares := tok.(xml.ProcInst); !declares {
			all = append(all, xml.CopyToken(tok))
		}
	}
}

func TestScan_ReadsWhatClientsWrite(t *testing.T) {
	for _, text := range []string{
		"<?xml version='1.0'?>\n<methodCall>\n<methodName>add</methodName>\n<params>\n<param>\n<value><int>3</int></value>\n</param>\n</params>\n</methodCall>\n",
		`<?xml version="1.0" encoding="UTF-8"?><methodCall><methodName>a.b</methodName><params/></methodCall>`,
		`<a>x &lt;&amp;&gt; &quot;ä&apos;</a>`, `<value><nil/></value>`, `<b ><c /></b >`,
	} {
		got, ok := scan([]byte(text))
		want, _ := byLibrary([]byte(text))
		if !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v, %s", text, ok, cmp.Diff(want, got))
		}
	}
	for _, text := range []string{
		`<a b="c"/>`, `<!-- c --><a/>`, `<!DOCTYPE a><a/>`, `<a><![CDATA[x]]></a>`, `<a:b/>`, `<a>&#65;</a>`, `<a>&b;</a>`, "<a>\r\n</a>", `<a>]]></a>`,
		`<a></b>`, `<a>`, `</a>`, `<>`, `<`, `<1/>`, "<a>\x00</a>", "<a>\xff</a>", "<a>\uffff</a>", `<?xml version="1.1"?><a/>`, `<a>&lt</a>`,
	} {
		if got, ok := scan([]byte(text)); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// What is read at all is read as encoding/xml does.
func FuzzScan(f *testing.F) {
	f.Add([]byte("<?xml version='1.0'?><methodCall><methodName>a &amp; b</methodName><params/> </methodCall>"))
	f.Add([]byte("<a >x</a ><b/>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := scan(data)
		if !ok {
			return
		}
		want, ok := byLibrary(data)
		if !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%q: encoding/xml takes it: %v\n%s", data, ok, cmp.Diff(want, got))
		}
	})
}
