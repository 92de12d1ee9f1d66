package rest

import (
	"bytes"
	"net/http"
	"reflect"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

// present is an item as it is; nil if there is none.
func (s *Resource) present(r *http.Request, id string) (*item, error) {
	now, err := s.store.get(r.Context(), id)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return now, err
}

func (s *Resource) get(w http.ResponseWriter, r *http.Request, id string) error {
	format, err := media.Choose(r.Header["Accept"], gives)
	if err != nil {
		return err
	}
	if err := checkID(id); err != nil {
		return err
	}
	now, err := s.store.get(r.Context(), id)
	if err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK, format, now)
}

// checkID makes a bad id the client's mistake in the path, not in a message.
func checkID(id string) error {
	if err := collection.CheckID(id); err != nil {
		p := problem.Of(err)
		p.Status = http.StatusBadRequest
		return p
	}
	return nil
}

// body reads what a client sends.
func (s *Resource) body(r *http.Request) ([]byte, error) {
	from, err := media.Body(r, s.opts.MaxBody)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(from); err != nil {
		return nil, media.Broken(err)
	}
	return b.Bytes(), nil
}

// sent is the item that a client sends.
func (s *Resource) sent(r *http.Request) (reflect.Value, error) {
	v := reflect.New(s.item.Go()).Elem()
	format, err := media.Sent(r.Header.Get("Content-Type"), takes)
	if err != nil {
		return v, err
	}
	data, err := s.body(r)
	if err != nil {
		return v, err
	}
	return v, format.Decode(s.item, data, v)
}

func (s *Resource) put(w http.ResponseWriter, r *http.Request, id string) error {
	if r.Header.Get("Content-Range") != "" {
		return problem.New(http.StatusBadRequest, "PUT replaces an item as a whole, not a range of it")
	}
	return s.change(w, r, id, func() (func(*item) (reflect.Value, error), error) {
		v, err := s.sent(r)
		return func(*item) (reflect.Value, error) { return v, nil }, err
	})
}

func (s *Resource) patch(w http.ResponseWriter, r *http.Request, id string) error {
	return s.change(w, r, id, func() (func(*item) (reflect.Value, error), error) {
		if err := checkPatch(r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
		data, err := s.body(r)
		if err != nil {
			return nil, err
		}
		patch, err := parsePatch(data)
		return func(now *item) (reflect.Value, error) {
			v := reflect.New(s.item.Go()).Elem()
			if now == nil {
				return v, s.none(id)
			}
			old, err := s.item.Append(nil, now.value)
			if err != nil {
				return v, err
			}
			merged, err := merge(old, patch, 0)
			if err != nil {
				return v, err
			}
			return v, s.item.Decode(merged, v)
		}, err
	})
}

func (s *Resource) delete(w http.ResponseWriter, r *http.Request, id string) error {
	return s.change(w, r, id, func() (func(*item) (reflect.Value, error), error) {
		return func(now *item) (reflect.Value, error) {
			if now == nil {
				return reflect.Value{}, s.none(id)
			}
			return reflect.Value{}, nil
		}, nil
	})
}

func (s *Resource) none(id string) error {
	return fault.Text(fault.NotFound, "find", id, "there is no such item")
}

// tries is how often a change without a condition is tried when others are faster.
const tries = 20

// change makes an item another one. read takes the request apart, and returns what makes the new value of the present one; it is
// called again for each time that somebody was faster.
func (s *Resource) change(w http.ResponseWriter, r *http.Request, id string, read func() (func(*item) (reflect.Value, error), error)) error {
	format, err := media.Choose(r.Header["Accept"], gives)
	if err != nil {
		return err
	}
	if err := checkID(id); err != nil {
		return err
	}
	conditions, err := conditionsOf(r)
	if err != nil {
		return err
	}
	next, err := read()
	if err != nil {
		return err
	}
	for range tries {
		now, err := s.present(r, id)
		if err != nil {
			return err
		}
		made, err := s.swap(r, id, now, conditions, next)
		if err != nil && fault.KindOf(err) == fault.Conflict {
			continue // the conditions are looked at again
		}
		if err != nil {
			return err
		}
		status := http.StatusOK
		if now == nil {
			status = http.StatusCreated
		}
		return s.answer(w, r, status, format, made)
	}
	return fault.Text(fault.Busy, "change", id, "others were faster, again and again")
}

// swap changes an item if the conditions hold. An item that is not there has none to break, unless it is to be made.
func (s *Resource) swap(r *http.Request, id string, now *item, c conditions, next func(*item) (reflect.Value, error)) (*item, error) {
	if now == nil && r.Method != http.MethodPut {
		_, err := next(nil)
		return nil, err
	}
	if err := c.failed(r, now, s.opts.RequireMatch); err != nil {
		return nil, err
	}
	value, err := next(now)
	if err != nil {
		return nil, err
	}
	revision := ""
	if now != nil {
		revision = now.revision
	}
	return s.store.swap(r.Context(), id, value, revision)
}
