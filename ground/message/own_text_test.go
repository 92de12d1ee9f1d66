package message_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/message"
)

// hasty panics where it should return an error.
type hasty struct{ text string }

func (h *hasty) UnmarshalText(b []byte) error { h.text = string(b)[:3]; return nil }
func (h hasty) MarshalText() ([]byte, error)  { return []byte(h.text[:3]), nil }

func TestType_APanicOfItsTextIsAnError(t *testing.T) {
	m, err := message.Of(reflect.TypeFor[struct{ Word hasty }]())
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.New(m.Go()).Elem()
	for what, err := range map[string]error{
		"JSON":  m.Decode([]byte(`{"word":"ab"}`), v),
		"query": m.DecodeQuery("word=ab", v),
	} {
		if err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s: got %v, want the panic", what, err)
		}
	}
	if _, err := m.Append(nil, v); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("writing: got %v, want the panic", err)
	}
}
