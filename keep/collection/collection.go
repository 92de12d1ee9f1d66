package collection

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// Item is a value under an id.
type Item[T any] struct {
	ID    string
	Value T
	// Revision names this value of the item; what is in it is the store's own business. Empty: there is no item.
	Revision string
	// Modified is when the value was stored. Zero: the store does not know.
	Modified time.Time
}

// Store keeps items. It is safe for use by several goroutines. Errors have a kind of package fault: fault.Busy when it is full,
// fault.Lost when it cannot be reached, fault.Invalid for an id that CheckID refuses.
type Store[T any] interface {
	// Get returns the item with that id. fault.NotFound.
	Get(ctx context.Context, id string) (Item[T], error)
	// Swap stores value under an id if the item's revision is still the given one, or with revision "" if there is no item, and
	// returns the item as it is stored. A nil value deletes it. fault.Conflict when the revision is another,
	// or when there is no item any more. After an error of another kind it may have been done.
	Swap(ctx context.Context, id string, value *T, revision string) (Item[T], error)
	// List returns up to limit items whose ids come after one, in the order of their bytes; all of them are after "".
	List(ctx context.Context, after string, limit int) ([]Item[T], error)
}

// MaxID is how long an id may be. Unit: bytes.
const MaxID = 200

// CheckID refuses what cannot be an id: it is UTF-8 of at most MaxID bytes without control characters, and without the meaning that
// a path gives to "/", "." and "..".
func CheckID(id string) error {
	why := ""
	switch {
	case id == "":
		why = "it is empty"
	case len(id) > MaxID:
		why = fmt.Sprintf("it has more than %d bytes", MaxID)
	case id == "." || id == ".." || strings.Contains(id, "/"):
		why = `it must not be ".", ".." or have a "/"`
	case !utf8.ValidString(id):
		why = "it is not UTF-8"
	case strings.ContainsFunc(id, unicode.IsControl):
		why = "it has a control character"
	default:
		return nil
	}
	return fault.Text(fault.Invalid, "use", fmt.Sprintf("the id %.40q", id), why)
}

func conflict(id string) error {
	return fault.Text(fault.Conflict, "store", id, "somebody else was faster")
}

// checkSwap refuses what no store does.
func checkSwap(id string, deletes bool, revision string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if deletes && revision == "" {
		return fault.Text(fault.Invalid, "delete", id, "want its revision")
	}
	return nil
}

// record is how a store keeps a value, as JSON.
type record[T any] struct {
	Modified time.Time
	Value    T
}

func encode[T any](id string, value *T) ([]byte, time.Time, error) {
	t, err := message.Of(reflect.TypeFor[record[T]]())
	if err != nil {
		return nil, time.Time{}, fault.New(fault.Invalid, "store", id, err)
	}
	r := record[T]{time.Now().UTC().Truncate(time.Millisecond), *value}
	b, err := t.Append(nil, reflect.ValueOf(&r).Elem())
	if err != nil {
		return nil, time.Time{}, fault.New(fault.Invalid, "store", id, err)
	}
	return b, r.Modified, nil
}

func decode[T any](id, revision string, data []byte) (Item[T], error) {
	var r record[T]
	t, err := message.Of(reflect.TypeFor[record[T]]())
	if err == nil {
		err = t.Restore(data, reflect.ValueOf(&r).Elem())
	}
	if err != nil {
		return Item[T]{}, fault.New(fault.Internal, "read", id, err)
	}
	return Item[T]{ID: id, Value: r.Value, Revision: revision, Modified: r.Modified}, nil
}
