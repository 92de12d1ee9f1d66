package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

// query is what is asked of a collection.
type query struct {
	limit   int
	after   string
	filters []filter
}

// filter is a field that must have a value.
type filter struct {
	leaf message.Leaf
	want string // as JSON
}

const (
	usualPage = 100
	scans     = 1000 // how many items more than a page a request looks at for a filter
)

func (s *Resource) query(u *url.URL) (q query, err error) {
	words, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return q, problem.New(http.StatusBadRequest, "the query cannot be read: "+err.Error())
	}
	q.limit = min(usualPage, s.opts.MaxPage)
	var wrong message.Problems
	for name, values := range words {
		text := values[len(values)-1]
		switch name {
		case "limit":
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				wrong = append(wrong, message.Problem{Path: name, Text: "must be a whole number, 1 or more"})
			}
			q.limit = min(n, s.opts.MaxPage)
		case "cursor":
			q.after = text
		default:
			f, problem := s.filter(name, text)
			if problem.Text != "" {
				wrong = append(wrong, problem)
			}
			q.filters = append(q.filters, f)
		}
	}
	if wrong != nil {
		return q, wrong
	}
	return q, nil
}

// filter reads a filter; a problem without a text is none.
func (s *Resource) filter(name, text string) (f filter, p message.Problem) {
	all := []string{"limit", "cursor"}
	for _, leaf := range s.item.Leaves() {
		if leaf.Path != name {
			all = append(all, leaf.Path)
			continue
		}
		v := reflect.New(s.item.Go()).Elem()
		err := leaf.Set(v, text)
		if err == nil {
			f.leaf = leaf
			f.want, err = leaf.Get(v)
		}
		if err != nil {
			return f, message.Problem{Path: name, Text: err.Error()}
		}
		return f, p
	}
	return f, message.Problem{Path: fmt.Sprintf("%.100s", strings.ToValidUTF8(name, "?")), Text: "there is no such field; there is " + strings.Join(all, ", ")}
}

func (q query) matches(one item) bool {
	for _, f := range q.filters {
		if got, err := f.leaf.Get(one.value); err != nil || got != f.want {
			return false
		}
	}
	return true
}

// search returns a page, and the cursor of the next one; empty: there is none.
func (s *Resource) search(ctx context.Context, q query) (found []item, next string, err error) {
	after := q.after
	for looked := 0; ; {
		all, err := s.store.list(ctx, after, q.limit+1)
		if err != nil {
			return nil, "", err
		}
		for _, one := range all {
			if len(found) == q.limit || looked > q.limit+scans {
				return found, after, nil
			}
			looked++
			after = one.id
			if q.matches(one) {
				found = append(found, one)
			}
		}
		if len(all) <= q.limit {
			return found, "", nil
		}
	}
}

func (s *Resource) list(w http.ResponseWriter, r *http.Request) error {
	format, err := media.Choose(r.Header["Accept"], gives)
	if err != nil {
		return err
	}
	q, err := s.query(r.URL)
	if err != nil {
		return err
	}
	all, next, err := s.search(r.Context(), q)
	if err != nil {
		return err
	}
	body, err := s.encode(r.URL, all, next, format)
	if err != nil {
		return unwritable(err)
	}
	h := w.Header()
	h.Add("Vary", "Accept")
	h.Set("Cache-Control", s.opts.CacheControl)
	if next != "" {
		h.Set("Link", "<"+turn(r.URL, next)+`>; rel="next"`)
	}
	if q.after != "" {
		h.Add("Link", "<"+turn(r.URL, "")+`>; rel="first"`)
	}
	sum := sha256.Sum256(body)
	tag := etag(hex.EncodeToString(sum[:12]), format, media.Packs(r, len(body)))
	h["Etag"] = []string{tag}
	return s.unlessFresh(w, r, tag, nil, format, body)
}

// turn is where another page is, seen from this one: the same query with another cursor.
func turn(u *url.URL, cursor string) string {
	words, _ := url.ParseQuery(u.RawQuery)
	words.Del("cursor")
	if cursor != "" {
		words.Set("cursor", cursor)
	}
	return "?" + words.Encode()
}

// encode writes a page.
func (s *Resource) encode(u *url.URL, all []item, next string, format *media.Format) ([]byte, error) {
	switch format {
	case html:
		return s.listPage(u, all, next)
	case media.Plain:
		return s.lines(all)
	}
	page := s.store.page(all, next, func(one item) string { return etag(one.revision, format, false) })
	return format.Append(s.page, nil, page)
}

// lines are for shells: each item's id, a tab, and the item as JSON.
func (s *Resource) lines(all []item) (b []byte, err error) {
	for _, one := range all {
		b = append(append(b, one.id...), '\t')
		if b, err = s.item.Append(b, one.value); err != nil {
			return nil, err
		}
		b = append(b, '\n')
	}
	return b, nil
}

// create makes an item under a new id.
func (s *Resource) create(w http.ResponseWriter, r *http.Request) error {
	format, err := media.Choose(r.Header["Accept"], gives)
	if err != nil {
		return err
	}
	value, err := s.sent(r)
	if err != nil {
		return err
	}
	for range tries {
		made, err := s.store.swap(r.Context(), s.opts.NewID(), value, "")
		if err == nil {
			return s.answer(w, r, http.StatusCreated, format, made)
		}
		if fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return fault.Text(fault.Conflict, "make", "an item of "+s.name, "every new id is taken")
}
