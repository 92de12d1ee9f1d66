package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/elements"
)

// tokensOf are those of a source, without the declaration; false if it refuses the data.
func tokensOf(from elements.Tokens) (all []xml.Token, ok bool) {
	for {
		tok, err := from.Token()
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

// byLibrary are the tokens that encoding/xml reads; false if it refuses the data.
func byLibrary(data []byte) ([]xml.Token, bool) { return tokensOf(newParser(bytes.NewReader(data)).d) }

// scan are the scanner's; false if it leaves the data.
func scan(data []byte) ([]xml.Token, bool) {
	s := newScanner(data)
	if s == nil {
		return nil, false
	}
	all, _ := tokensOf(s)
	return all, !s.left
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

// A call is the same, or wrong in the same words, whoever reads it.
func FuzzParse(f *testing.F) {
	for _, params := range []string{
		"<param><value><int>3</int></value></param>", "<param><value> x </value></param>", "<param><value>x<i4>1</i4></value></param>",
		"<param><value><struct><member><name>a</name><value><nil/></value></member></struct></value></param>",
		"<param><value><array><data><value><double>1.5</double></value><value><base64>AA==</base64></value></data></array></value></param>",
		"<param>x</param>", "<param a='b'/>", "<param><value>&amp;<!-- c -->x</value></param>", "<param><value><int/></value></param>",
	} {
		f.Add([]byte("<methodCall><methodName>add</methodName><params>" + params + "</params></methodCall>"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		method, params, err := parse(data)
		wantMethod, wantParams, wantErr := newParser(bytes.NewReader(data)).call()
		if fmt.Sprint(method, params, err) != fmt.Sprint(wantMethod, wantParams, wantErr) {
			t.Errorf("%q: got %v, %v, %v, want %v, %v, %v", data, method, params, err, wantMethod, wantParams, wantErr)
		}
	})
}
