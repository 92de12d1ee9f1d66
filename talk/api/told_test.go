package api_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/talk/api"
)

func TestCall_LogsMessages(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	h, err := api.Handle(func(_ context.Context, m Add) (Sum, error) {
		if m.A < 0 {
			return Sum{}, errors.New("below\nzero")
		}
		return add(t.Context(), m)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("sums", []*api.Handler{h}, &api.Options{
		Logger: slog.New(slogs.New(&out, &slogs.Options{Level: &level, Object: slogs.Object{Addr: 1, Name: "sums"}})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := slogs.WithPeer(slogs.With(t.Context(), slogs.Object{Addr: 0x10, Name: "sums"}), 0x11)
	all := func() {
		for _, m := range []Add{{1, 2}, {-1, 0}} {
			in := reflect.New(reflect.TypeFor[Add]()).Elem()
			in.Set(reflect.ValueOf(m))
			a.Call(ctx, h, in)
		}
		a.Find("Sub\ntract")
	}
	all()
	if out.Len() > 0 {
		t.Fatalf("below the level got %s", out.String())
	}
	level.Set(slogs.LevelObject) // and now it is told
	all()
	var got []string
	for text := range strings.Lines(out.String()) {
		got = append(got, strings.TrimSpace(text[len("2024-09-19T13:28:32.162 "):]))
	}
	want := []string{
		"< <00000010>sums - Received Add from <00000011>",
		"> <00000010>sums - Sent Sum to <00000011>",
		"< <00000010>sums - Received Add from <00000011>",
		`> <00000010>sums - Sent Faulted to <00000011> request=Add err="cannot answer Add: below\nzero"`,
		`< <00000001>sums - Dropped "Sub\ntract"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
