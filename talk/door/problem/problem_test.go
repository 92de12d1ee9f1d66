package problem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/problem"
)

func TestOf_GivesEveryErrorItsStatus(t *testing.T) {
	rule := message.Problems{{Path: "n", Text: "must be at least 1", Rule: true}}
	for _, c := range []struct {
		err    error
		status int
		kind   string
	}{
		{errors.New("it broke"), 500, "internal"},
		{fault.New(fault.Remote, "do", "it", nil), 500, "remote"},
		{fault.New(fault.Invalid, "do", "it", nil), 422, "invalid"},
		{fmt.Errorf("wrapped: %w", fault.New(fault.NotFound, "find", "it", nil)), 404, "not found"},
		{fault.New(fault.Conflict, "do", "it", nil), 409, "conflict"},
		{fault.New(fault.Denied, "do", "it", nil), 403, "denied"},
		{fault.New(fault.Lost, "do", "it", nil), 502, "lost"},
		{fault.New(fault.Busy, "do", "it", nil), 503, "busy"},
		{context.Canceled, 503, "canceled"},
		{context.DeadlineExceeded, 504, "deadline"},
		{&http.MaxBytesError{Limit: 5}, 413, "invalid"},
		{rule, 422, "invalid"},
		{append(rule, message.Problem{Text: "must be a number"}), 400, "invalid"},
		{fmt.Errorf("wrapped: %w", problem.New(406, "no")), 406, "invalid"},
	} {
		if p := problem.Of(c.err); p.Status != c.status || p.Kind != c.kind {
			t.Errorf("%v: got %d, %s, want %d, %s", c.err, p.Status, p.Kind, c.status, c.kind)
		}
	}
}

func TestWrite_IsValidWhateverTheErrorSays(t *testing.T) {
	p := problem.New(503, "\xff is \x00 no text").With("Allow", "GET")
	w := httptest.NewRecorder()
	problem.Write(w, p)
	want := `{"title":"Service Unavailable","status":503,"detail":"\ufffd is \u0000 no text","kind":"invalid"}` + "\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Allow": "GET", "Retry-After": "1", "Cache-Control": "no-store", "Content-Length": fmt.Sprint(len(want)),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if p.Title != "" {
		t.Error("what was handed over has changed")
	}
}
