package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// problem is an error as RFC 9457 writes it. It is an error itself.
type problem struct {
	Title  string           `json:"title"`
	Status int              `json:"status"`
	Detail string           `json:"detail"`
	Kind   string           `json:"kind"`
	Hint   string           `json:"hint,omitempty"`
	Errors message.Problems `json:"errors,omitempty"`
	allow  string
}

func (p *problem) Error() string { return p.Detail }

func problemOf(status int, detail string) *problem {
	return &problem{Status: status, Detail: detail, Kind: fault.Invalid.String()}
}

// statuses of the kinds of errors.
var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusUnprocessableEntity, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict,
	fault.Busy: http.StatusServiceUnavailable, fault.Canceled: http.StatusServiceUnavailable, fault.Deadline: http.StatusGatewayTimeout,
	fault.Lost: http.StatusBadGateway, fault.Denied: http.StatusForbidden,
}

// asProblem tells an error in HTTP's words.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problemOf(http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
	}
	if wrong, ok := errors.AsType[message.Problems](err); ok {
		p := problemOf(http.StatusBadRequest, wrong.Error())
		if wrong.OnlyRules() {
			p.Status = http.StatusUnprocessableEntity
		}
		p.Errors = wrong
		return p
	}
	kind := fault.KindOf(err)
	p := &problem{Status: statuses[kind], Detail: err.Error(), Kind: kind.String()}
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		p.Hint = e.Hint
	}
	return p
}

func (d *door) refuse(w http.ResponseWriter, err error) {
	p := asProblem(err)
	p.Title = http.StatusText(p.Status)
	body, err := json.Marshal(p)
	if err != nil { // a text of it is no UTF-8, which Marshal mends; there is no other
		body = []byte("{}")
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}
