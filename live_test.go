package become

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

// tuned are settings that change live.
type tuned struct {
	Greeting string `minLength:"2"`
	Sizes    map[string]int
}

var takenLive []tuned

func (s *tuned) Changed(context.Context) error {
	if s.Greeting == "nonsense" {
		return errors.New("no")
	}
	takenLive = append(takenLive, *s)
	return nil
}

func TestLiveSettings_EachChangeIsAStructOfItsOwn(t *testing.T) {
	takenLive = nil
	factory := &tuned{Greeting: "hello", Sizes: map[string]int{"a": 1}}
	s := HTTP("greeter", http.NotFoundHandler(), ServiceOptions{Settings: factory})
	if err := s.service.Configure([]byte(`{"greeting":"hi"}`)); err != nil || factory.Greeting != "hi" {
		t.Fatal(factory, err)
	}
	take := s.service.Reconfigure
	for _, c := range []struct {
		settings, greeting string
		sizes              int
	}{{`{"sizes":{"b":2}}`, "hello", 1}, {`{"greeting":"good day"}`, "good day", 1}, {``, "hello", 1}} {
		if err := take(t.Context(), []byte(c.settings)); err != nil {
			t.Fatal(err)
		}
		got := takenLive[len(takenLive)-1]
		if got.Greeting != c.greeting || len(got.Sizes) < c.sizes {
			t.Errorf("%s: got %+v", c.settings, got)
		}
		got.Sizes["c"] = 3 // nobody else's
	}
	for _, bad := range []string{`{"greeting":"x"}`, `{"zork":1}`, `{"greeting":"nonsense"}`, `7`} {
		if err := take(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if len(takenLive) != 3 || factory.Greeting != "hi" || factory.Sizes["c"] != 0 {
		t.Errorf("%d taken; the service's own are %+v", len(takenLive), factory)
	}
	if s := HTTP("plain", http.NotFoundHandler(), ServiceOptions{Settings: &HostPort{}}); s.service.Reconfigure != nil {
		t.Error("these are not live")
	}
}
