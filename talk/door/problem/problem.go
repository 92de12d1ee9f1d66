package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// Type is the media type.
const Type = "application/problem+json"

// Problem is an error as RFC 9457 writes it. It is an error itself.
type Problem struct {
	// Title is the status in words; For sets it.
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Kind is that of package fault.
	Kind string `json:"kind"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
	// Errors are what is wrong with a message.
	Errors message.Problems `json:"errors,omitempty"`
	// RequestID is that of the request, in all its answers and logs; For sets it.
	RequestID string `json:"request_id,omitempty"`
	// Header goes with it: Allow, Accept.
	Header http.Header `json:"-"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// New returns a problem of the client's.
func New(status int, detail string) *Problem {
	return &Problem{Status: status, Detail: detail, Kind: fault.Invalid.String()}
}

// With adds a field of the header and returns p.
func (p *Problem) With(name, value string) *Problem {
	if p.Header == nil {
		p.Header = http.Header{}
	}
	p.Header.Set(name, value)
	return p
}

// statuses of the kinds of errors.
var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusUnprocessableEntity, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict,
	fault.Busy: http.StatusServiceUnavailable, fault.Canceled: http.StatusServiceUnavailable, fault.Deadline: http.StatusGatewayTimeout,
	fault.Lost: http.StatusBadGateway, fault.Denied: http.StatusForbidden,
}

// Of tells an error in HTTP's words. A Problem stays as it is. A body that is too large is 413, a message that cannot be
// read 400, and one that breaks a rule 422. Of the kinds of package fault, invalid is 422, denied 403, not found 404,
// conflict 409, lost 502, busy and canceled 503, deadline 504, and all else 500.
func Of(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return New(http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
	}
	if wrong, ok := errors.AsType[message.Problems](err); ok {
		p := New(http.StatusBadRequest, wrong.Error())
		if wrong.OnlyRules() {
			p.Status = http.StatusUnprocessableEntity
		}
		p.Errors = wrong
		return p
	}
	kind := fault.KindOf(err)
	p := &Problem{Status: statuses[kind], Detail: err.Error(), Kind: kind.String()}
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		p.Hint = e.Hint
	}
	return p
}

// For is Of with all that is told of an error, as the answer of a request.
func For(requestID string, err error) Problem {
	p := *Of(err)
	p.Title, p.RequestID = http.StatusText(p.Status), requestID
	return p
}

// Write answers with an error. The header's X-Request-Id says which request it is of.
func Write(w http.ResponseWriter, err error) {
	p := For(w.Header().Get("X-Request-Id"), err)
	body, err := json.Marshal(&p)
	if err != nil { // a text of it is no UTF-8, which Marshal mends; there is no other
		body = []byte("{}")
	}
	h := w.Header()
	for name, values := range p.Header {
		h[name] = values
	}
	h.Set("Content-Type", Type)
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}
