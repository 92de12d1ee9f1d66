package api_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/api"
)

func TestAnswer_LogsMessages(t *testing.T) {
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
	ctx = trace.Mark(ctx, "me", trace.Place{})
	all := func() {
		for _, m := range []Add{{1, 2}, {-1, 0}, {99, 0}} {
			in := reflect.New(reflect.TypeFor[Add]()).Elem()
			in.Set(reflect.ValueOf(m))
			a.Answer(ctx, h, in, &exchange{})
		}
		for _, name := range []string{"Sub\ntract", "Add"} {
			a.Refuse(ctx, name, errors.New("x: must be a number"))
		}
	}
	failed := `? <00000010>sums - a handler failed request=Add err="cannot answer Add: below\nzero" request_id=me`
	all()
	if got := lines(&out); len(got) != 1 || got[0] != failed {
		t.Fatalf("below the level got %q", got)
	}
	out.Reset()
	level.Set(slogs.LevelObject) // and now it is told
	all()
	want := []string{
		"< <00000010>sums - Received Add from <00000011> request_id=me",
		"> <00000010>sums - Sent Sum to <00000011> request_id=me",
		"< <00000010>sums - Received Add from <00000011> request_id=me",
		failed,
		`> <00000010>sums - Sent Faulted to <00000011> request_id=me request=Add err="cannot answer Add: below\nzero"`,
		"< <00000010>sums - Received Add from <00000011> request_id=me",
		`> <00000010>sums - Sent Faulted to <00000011> request_id=me request=Add err="99 is too much"`,
		`< <00000010>sums - Dropped "Sub\ntract" from <00000011> request_id=me`,
		`< <00000010>sums - Dropped Add from <00000011> request_id=me err="x: must be a number"`,
	}
	if diff := cmp.Diff(want, lines(&out)); diff != "" {
		t.Error(diff)
	}
}

// lines are those of a log, without their times.
func lines(out *bytes.Buffer) (all []string) {
	for text := range strings.Lines(out.String()) {
		all = append(all, strings.TrimSpace(text[len("2024-09-19T13:28:32.162 "):]))
	}
	return all
}

// exchange is a client that cannot be told of 99.
type exchange struct{ err error }

func (x *exchange) Encode(r api.Reply) error {
	if r.Value.Interface() == (Sum{99}) {
		return errors.New("99 is too much")
	}
	return nil
}

func (x *exchange) Answer(err error, _ bool) { x.err = err }

// What is answered in a handler's place is told once, and what the handler says later is not said to be sent.
func TestAnswer_LogsALateHandlerAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		h, err := api.Handle(func(context.Context, Add) (Sum, error) {
			time.Sleep(time.Minute)
			return Sum{}, nil
		}, &api.HandlerOptions{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a, err := api.New("sums", []*api.Handler{h}, &api.Options{Logger: slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelObject}))})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{}
		a.Answer(slogs.With(t.Context(), slogs.Object{Addr: 0x10, Name: "sums"}), h, reflect.New(reflect.TypeFor[Add]()).Elem(), x)
		want := []string{
			"< <00000010>sums - Received Add from <00000001>",
			"? <00000010>sums - a handler does not answer, nor heed its context request=Add within=1s",
			`> <00000010>sums - Sent Faulted to <00000001> request=Add err="cannot answer Add: the handler did not answer within 1s"`,
			"< <00000010>sums - Dropped Sum request=Add",
		}
		if diff := cmp.Diff(want, lines(&out)); diff != "" || fault.KindOf(x.err) != fault.Deadline {
			t.Error(x.err, diff)
		}
	})
}

func TestAnswer_AHandlerThatHeedsItsContextAnswersItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := api.Handle(func(ctx context.Context, _ Add) (Sum, error) {
			<-ctx.Done()
			return Sum{}, ctx.Err()
		}, &api.HandlerOptions{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a, err := api.New("sums", []*api.Handler{h}, nil)
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{}
		a.Answer(t.Context(), h, reflect.New(reflect.TypeFor[Add]()).Elem(), x)
		if !errors.Is(x.err, context.DeadlineExceeded) || fault.KindOf(x.err) != fault.Deadline {
			t.Errorf("got %v", x.err)
		}
	})
}

// wire takes messages until it is full.
type wire struct{ full bool }

func (w *wire) Push(api.Reply) error {
	if w.full {
		return fault.Text(fault.Busy, "send message", "Sum", "it does not read")
	}
	return nil
}
func (w *wire) Flush(context.Context) error { return nil }
func (w *wire) End(string)                  {}

func TestSession_LogsItsLifeAndItsMessages(t *testing.T) {
	var out bytes.Buffer
	h, err := api.Handle(add, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("sums", []*api.Handler{h}, &api.Options{Logger: slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelObject}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx := slogs.WithPeer(slogs.With(t.Context(), slogs.Object{Addr: 0x10, Name: "sums"}), 0x11)
	w := &wire{}
	s, err := a.Accept(ctx, "S1", "192.0.2.1:5", w)
	if err != nil {
		t.Fatal(err)
	}
	s.Send(Sum{1})
	a.Answer(s.With(ctx), h, reflect.New(reflect.TypeFor[Add]()).Elem(), &exchange{})
	w.full = true
	s.Send(Sum{2})
	a.Abandon(ctx, s, "it does not read")
	address := out.String()[len("2024-09-19T13:28:32.162 + ") : len("2024-09-19T13:28:32.162 + ")+len("<00000012>")]
	want := []string{
		"+ " + address + "Session - Created by <00000011> session=S1 peer=192.0.2.1:5",
		"< <00000010>sums - Received Accepted from " + address,
		"> <00000010>sums - Sent Sum to " + address,
		"< <00000010>sums - Received Add from " + address,
		"> <00000010>sums - Sent Sum to " + address,
		"< <00000010>sums - Dropped Sum to " + address + ` err="cannot send message Sum: it does not read"`,
		"< <00000010>sums - Received Abandoned from " + address + ` reason="it does not read"`,
		"X " + address + "Session - Destroyed",
	}
	if diff := cmp.Diff(want, lines(&out)); diff != "" {
		t.Error(diff)
	}
}
