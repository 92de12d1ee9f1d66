package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/universal-server/become/ground/message"
)

// writer writes values as Python's xmlrpc.client does, byte for byte.
type writer struct{ bytes.Buffer }

// written is a value that is written already, without the element around it.
type written []byte

func (w *writer) value(v any) error {
	w.WriteString("<value>")
	if err := w.inner(v); err != nil {
		return err
	}
	w.WriteString("</value>\n")
	return nil
}

func (w *writer) inner(v any) error {
	switch x := v.(type) {
	case nil:
		w.WriteString("<nil/>")
	case written:
		w.Write(x)
	case bool:
		w.word("boolean", map[bool]string{true: "1", false: "0"}[x])
	case int64:
		kind := "int"
		if x < math.MinInt32 || x > math.MaxInt32 {
			kind = "i8"
		}
		w.word(kind, strconv.FormatInt(x, 10))
	case uint64:
		if x > math.MaxInt64 {
			return w.inner(new(big.Int).SetUint64(x))
		}
		return w.inner(int64(x))
	case *big.Int:
		if !x.IsInt64() {
			return fmt.Errorf("the number %.30s... exceeds XML-RPC's limits", x.String())
		}
		return w.inner(x.Int64())
	case float64:
		w.word("double", float(x))
	case string:
		return w.text(x)
	case []byte:
		w.base64(x)
	case time.Time:
		w.word("dateTime.iso8601", x.UTC().Format("20060102T15:04:05"))
	case []any:
		return w.array(x)
	case message.Object:
		return w.structure(x)
	default:
		return fmt.Errorf("a %T cannot be written", v)
	}
	return nil
}

func (w *writer) word(kind, text string) {
	w.WriteString("<" + kind + ">" + text + "</" + kind + ">")
}

// float writes a number as Python's repr does, where it can matter: with a point or an exponent.
func float(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if a := math.Abs(f); a == 0 || a >= 1e-4 && a < 1e16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	for _, r := range s {
		if r == '.' || r == 'e' {
			return s
		}
	}
	return s + ".0"
}

func (w *writer) text(s string) error {
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("a text has the character %U, which XML has not", r)
		}
	}
	w.WriteString("<string>")
	w.escape(s)
	w.WriteString("</string>")
	return nil
}

func (w *writer) escape(s string) {
	for i := range len(s) {
		switch s[i] {
		case '&':
			w.WriteString("&amp;")
		case '<':
			w.WriteString("&lt;")
		case '>':
			w.WriteString("&gt;")
		case '\r': // a reader would take it for a line's end
			w.WriteString("&#13;")
		default:
			w.WriteByte(s[i])
		}
	}
}

// base64 writes lines of 76 characters.
func (w *writer) base64(data []byte) {
	w.WriteString("<base64>\n")
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(len(text), 76)
		w.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	w.WriteString("</base64>")
}

func (w *writer) array(all []any) error {
	w.WriteString("<array><data>\n")
	for _, v := range all {
		if err := w.value(v); err != nil {
			return err
		}
	}
	w.WriteString("</data></array>")
	return nil
}

func (w *writer) structure(all message.Object) error {
	w.WriteString("<struct>\n")
	for _, m := range all {
		w.WriteString("<member>\n<name>")
		w.escape(m.Name)
		w.WriteString("</name>\n")
		if err := w.value(m.Value); err != nil {
			return err
		}
		w.WriteString("</member>\n")
	}
	w.WriteString("</struct>")
	return nil
}

// response writes an answer.
func response(v any) ([]byte, error) {
	var w writer
	w.WriteString("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n")
	if err := w.value(v); err != nil {
		return nil, err
	}
	w.WriteString("</param>\n</params>\n</methodResponse>\n")
	return w.Bytes(), nil
}

// failure writes a fault.
func failure(f *Fault) []byte {
	var w writer
	w.WriteString("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n")
	if w.value(f.tree()) != nil { // a text that XML cannot have
		w.Reset()
		w.WriteString("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n")
		w.value((&Fault{f.Code, strconv.QuoteToASCII(f.Text)}).tree())
	}
	w.WriteString("</fault>\n</methodResponse>\n")
	return w.Bytes()
}

// request writes a call.
func request(method string, params []any) ([]byte, error) {
	var w writer
	w.WriteString("<?xml version='1.0'?>\n<methodCall>\n<methodName>")
	xml.EscapeText(&w, []byte(method))
	w.WriteString("</methodName>\n<params>\n")
	for _, p := range params {
		w.WriteString("<param>\n")
		if err := w.value(p); err != nil {
			return nil, err
		}
		w.WriteString("</param>\n")
	}
	w.WriteString("</params>\n</methodCall>\n")
	return w.Bytes(), nil
}
