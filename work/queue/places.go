package queue

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/task"
)

// placesField is the header field of an entry in which a record's places are: a list in JSON with a text for each job, empty for none.
// Why a header, and not a part of the record? Workers of before refuse a record with something in it that they do not know, and
// bury its jobs; headers they do not look at.
const placesField = "Become-Places"

// maxPlaces bounds the field: what the bus takes for a header, less room for its name.
const maxPlaces = bus.MaxHeader - 64

// Header is the header of the entry that holds the record: nil if its jobs have no places. When they are too long together, as a record of many
// jobs never has them that Submit made, it is nil too: traces end there, jobs do not.
func (r *Record) Header() map[string]string {
	if len(r.Places) != len(r.Jobs) {
		return nil
	}
	texts, found := make([]string, len(r.Places)), false
	for i, p := range r.Places {
		texts[i] = task.PlaceText(p)
		found = found || texts[i] != ""
	}
	if !found {
		return nil
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if e.Encode(texts) != nil || text.Len() > maxPlaces {
		return nil
	}
	return map[string]string{placesField: strings.TrimSpace(text.String())}
}

// ReadHeader takes the places from the header of the entry that the record was in. What is wrong in it is no place.
func (r *Record) ReadHeader(header map[string]string) {
	r.Places = nil
	text := header[placesField]
	if text == "" || len(text) > maxPlaces {
		return
	}
	var texts []string
	if json.Unmarshal([]byte(text), &texts) != nil || len(texts) != len(r.Jobs) {
		return
	}
	r.Places = make([]trace.Place, len(texts))
	for i, one := range texts {
		r.Places[i] = task.ParsePlace(one)
	}
}

// Place is that of one of the jobs; not valid for none.
func (r *Record) Place(i int) trace.Place {
	if i < len(r.Places) {
		return r.Places[i]
	}
	return trace.Place{}
}

// Part is a record of some of the jobs, which it shares.
func (r *Record) Part(first, last int) Record {
	part := *r
	part.Jobs = r.Jobs[first:last]
	if len(r.Places) == len(r.Jobs) {
		part.Places = r.Places[first:last]
	}
	return part
}

// Put keeps a record in a queue, with its header.
func Put(ctx context.Context, q bus.Queue, subject string, r *Record, id string) (uint64, error) {
	data := r.Append(make([]byte, 0, r.size()))
	if header := r.Header(); header != nil {
		return q.Put(ctx, subject, data, id, header)
	}
	return q.Put(ctx, subject, data, id)
}

func (r *Record) size() int {
	n := 128
	for _, v := range r.Jobs {
		n += len(v.Data) + 4
	}
	return n
}
