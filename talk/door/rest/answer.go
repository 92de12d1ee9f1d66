package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

var accepted = media.Types(takes)

// unwritable says that something of ours cannot be written in the format that the client wants.
func unwritable(err error) error {
	var wrong message.Problems
	if errors.As(err, &wrong) {
		return problem.New(http.StatusUnprocessableEntity, "the item cannot be written: "+wrong.Error())
	}
	return err
}

// answer tells an item as it is now; nil: it is deleted.
func (s *Resource) answer(w http.ResponseWriter, r *http.Request, status int, format *media.Format, now *item) error {
	if now == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	var body []byte
	var err error
	if format == html {
		body, err = s.itemPage(now)
	} else {
		body, err = format.Append(s.item, nil, now.value)
	}
	if err != nil {
		return unwritable(err)
	}
	h := w.Header()
	h.Add("Vary", "Accept")
	h.Set("Cache-Control", s.opts.CacheControl)
	if !now.modified.IsZero() {
		h.Set("Last-Modified", now.modified.UTC().Format(http.TimeFormat))
	}
	tag := etag(now.revision, format, media.Packs(r, len(body)))
	h["Etag"] = []string{tag}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.unlessFresh(w, r, tag, now, format, body)
	}
	h.Set("Content-Location", s.at(now.id))
	if status == http.StatusCreated {
		h.Set("Location", s.at(now.id))
	}
	if minimal(r) {
		h.Set("Preference-Applied", "return=minimal")
		h.Del("Content-Location")
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return nil
	}
	write(w, r, status, format, body)
	return nil
}

// minimal says whether the client wants no body.
func minimal(r *http.Request) bool {
	for _, field := range r.Header["Prefer"] {
		for one := range strings.SplitSeq(field, ",") {
			if name, _, _ := strings.Cut(one, ";"); strings.EqualFold(strings.TrimSpace(name), "return=minimal") {
				return true
			}
		}
	}
	return false
}

// unlessFresh answers a read, or says that the client has it already.
func (s *Resource) unlessFresh(w http.ResponseWriter, r *http.Request, tag string, now *item, format *media.Format, body []byte) error {
	c, err := conditionsOf(r)
	if err == nil {
		err = c.unmet(r, tag, now)
	}
	if err != nil {
		for _, name := range []string{"Etag", "Last-Modified", "Link"} {
			w.Header().Del(name)
		}
		return err
	}
	if c.fresh(r, tag, now) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	write(w, r, http.StatusOK, format, body)
	return nil
}

func write(w http.ResponseWriter, r *http.Request, status int, format *media.Format, body []byte) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if format == html {
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	}
	media.Write(w, r, status, format.Type, body)
}
