package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Bus is one process's connection to its fleet.
type Bus interface {
	Messenger
	// Queue, Log, KV and Blobs open a store by its spec, creating it where the
	// connection has the right to; opening the same spec twice is fine. A name is
	// letters, digits, '-' and '_'.
	Queue(ctx context.Context, spec Spec) (Queue, error)
	Log(ctx context.Context, spec Spec) (Log, error)
	KV(ctx context.Context, spec Spec) (KV, error)
	Blobs(ctx context.Context, spec Spec) (Blobs, error)
	// Close ends the connection after what was published has been handed to the
	// bus. Subscriptions end. Close may be called twice.
	Close() error
}

// MaxMessage is how much data a message, a record or a value may have: 1 MiB
// less room for headers. More is fault.Invalid; it travels by reference, as a blob.
const MaxMessage = 1<<20 - 4<<10

// Spec names a store and bounds it. Zero bounds mean none.
type Spec struct {
	Name string
	// MaxAge is how long a record is kept.
	MaxAge time.Duration
	// MaxBytes bounds the store, and MaxRecords a Queue or Log. A full Queue, KV or
	// Blobs refuses with fault.Busy; a full Log drops its oldest records.
	MaxBytes   int64
	MaxRecords int64
}

// Messenger sends messages to whoever listens now.
//
// A subject is tokens joined by dots; in a subscription "*" stands for one
// token and a last ">" for one or more.
type Messenger interface {
	Publish(subject string, data []byte) error
	// Send publishes a message with headers, or one that asks for answers, maybe many: on Reply, an inbox.
	Send(m Message) error
	// Request sends a message with an inbox as its Reply and returns the
	// first answer. fault.NotFound when nobody listens, fault.Deadline when ctx ends; a bus may end one that has no deadline.
	Request(ctx context.Context, m Message) (Message, error)
	// Subscribe calls f for each message, one at a time, on a goroutine of the bus:
	// f must not block for long. With a non-empty group each message goes to one
	// member of it. A message whose Reply is no inbox is not given to f: see IsInbox. It returns when messages of other connections
	// come too, and gives up with ctx, which has nothing to do with the subscription afterwards.
	Subscribe(ctx context.Context, subject, group string, f func(Message)) (Subscription, error)
	// Serve is Subscribe for an f that may take its time, as one that answers requests does: it is called for each message on
	// goroutines of the bus, beside other calls, in no order. As many calls are under way as messages want it: f refuses what is too much.
	Serve(ctx context.Context, subject, group string, f func(Message)) (Subscription, error)
	// Inbox returns a fresh subject that only this connection may subscribe to.
	Inbox() string
}

// Message is one message. Received, all of it belongs to the receiver.
type Message struct {
	Subject string
	Reply   string // inbox to answer on; empty when no answer is wanted
	// Header are words about the data; names are case-sensitive. See MaxHeader.
	Header map[string]string
	Data   []byte
}

// MaxHeader is how many bytes the names and values of a message's header may have together, four more for each. More, a
// name that is no token of RFC 9110, or a value with control characters is fault.Invalid.
const MaxHeader = 3 << 10

// CheckMessage says what is wrong with a message to be sent, but for its size.
func CheckMessage(m Message) error {
	switch {
	case !ValidSubject(m.Subject, false):
		return errors.New("it is no subject")
	case m.Reply != "" && (!ValidSubject(m.Reply, false) || !IsInbox(m.Reply)):
		return fmt.Errorf("answers cannot go to %q: it is no inbox", m.Reply)
	}
	return CheckHeader(m.Header)
}

// CheckHeader says what is wrong with a header.
func CheckHeader(header map[string]string) error {
	size := 0
	for name, value := range header {
		if size += len(name) + len(value) + 4; size > MaxHeader {
			return errors.New("the header is longer than 3 KiB")
		}
		if name == "" || strings.ContainsFunc(name, notToken) {
			return fmt.Errorf("a header cannot be named %q", name)
		}
		if strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
			return fmt.Errorf("the header %s cannot be %q", name, value)
		}
	}
	return nil
}

func notToken(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

// Subscription ends with Unsubscribe or with Drain; both may be called twice.
type Subscription interface {
	// Unsubscribe ends it at once: but for one call of f that may be under way, or of Serve's more, there is none after it returned.
	Unsubscribe() error
	// Drain ends it so that nothing is lost: the bus gives it no more, f is called for all that it was given, and
	// when the last call has returned, Drain does. f must not call it.
	Drain() error
}

// Queue is a durable work queue. Subjects are the queue's name, a dot, and
// the rest: queue "job" has "job.<digest>.<function>".
type Queue interface {
	// Put keeps data under subject and returns its sequence number, greater than
	// every one before. A non-empty id makes a second Put with the same id within
	// two minutes a no-op that returns the first one's number. header, one at most, are words about the data, as a Message has them;
	// names that begin with Nats- are the bus's own.
	Put(ctx context.Context, subject string, data []byte, id string, header ...map[string]string) (seq uint64, err error)
	// Consumer returns the shared consumer of all entries that match filter; every
	// process that opens the same filter shares the work, at the lease of the first.
	// fault.Invalid when the filter overlaps another consumer's.
	Consumer(ctx context.Context, filter string, lease time.Duration) (Consumer, error)
	// Counts returns how many entries wait or run per subject matching filter.
	Counts(ctx context.Context, filter string) (map[string]uint64, error)
	// Peek returns up to max entries from sequence number from on, in order,
	// without taking them.
	Peek(ctx context.Context, filter string, from uint64, max int) ([]Record, error)
	// GiveBack ends the lease with that token, for a taker that died: the entry is
	// handed out again at once. A lease that has ended already is no error; should
	// another taker have the entry by then, it may be handed out once more.
	GiveBack(token string) error
	// Remove deletes an entry that nobody acknowledged yet; who has it on lease may
	// still finish it. fault.NotFound if gone.
	Remove(ctx context.Context, seq uint64) error
}

// Consumer hands out entries, each to one taker at a time.
type Consumer interface {
	// Pull returns between one and max entries, or none when wait has passed.
	Pull(ctx context.Context, max int, wait time.Duration) ([]Delivery, error)
}

// Delivery is one entry on lease to its taker. Exactly one of Ack and Nak
// ends it; if neither comes and Extend is not called within the consumer's
// lease, the entry is handed out again.
type Delivery interface {
	Record() Record
	// Attempt counts deliveries of this entry, from 1.
	Attempt() int
	// Token names the lease, for GiveBack by another process.
	Token() string
	// Extend renews the lease.
	Extend() error
	// Ack removes the entry from the queue for good; it returns when the bus has
	// confirmed it.
	Ack(ctx context.Context) error
	// Nak gives the entry back, to be handed out again after delay.
	Nak(delay time.Duration) error
}

// Record is one stored entry.
type Record struct {
	Subject string
	Seq     uint64
	Time    time.Time
	Header  map[string]string // of an entry of a queue; nil if it has none
	Data    []byte
}

// OneHeader is the header of a Put: nil for none. The error says what is wrong with it.
func OneHeader(header []map[string]string) (map[string]string, error) {
	switch len(header) {
	case 0:
		return nil, nil
	case 1:
		for name := range header[0] {
			if strings.HasPrefix(name, "Nats-") {
				return nil, fmt.Errorf("the header %s is the bus's own", name)
			}
		}
		return header[0], CheckHeader(header[0])
	}
	return nil, errors.New("there is more than one header")
}

// Log keeps records per subject, each readable by anybody until it ages out.
// Subjects begin with the log's name. Appending also publishes the record to
// subscribers of the subject.
type Log interface {
	Append(ctx context.Context, subject string, data []byte) (seq uint64, err error)
	// Read returns up to max records with a subject matching filter from sequence
	// number from on, in order. An empty answer is no error.
	Read(ctx context.Context, filter string, from uint64, max int) ([]Record, error)
	// Tail returns the newest max records matching filter, oldest first.
	Tail(ctx context.Context, filter string, max int) ([]Record, error)
	// Remove deletes a record. fault.NotFound if it is gone.
	Remove(ctx context.Context, seq uint64) error
}

// Entry is a key's present value. Revision is greater than every revision
// before it in that store; 0 means the key does not exist.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Deleted  bool // only in Watch: the key was deleted
}

// KV is a key-value store with compare-and-swap. Keys are letters, digits and
// any of "-_=./".
type KV interface {
	// Get returns the value as the store's leader has it. fault.NotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// Put stores value whatever was there before.
	Put(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Swap stores value if the key's revision is still the given one (0: the key
	// does not exist). fault.Conflict when it is not.
	Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Delete removes the key; a missing key is no error.
	Delete(ctx context.Context, key string) error
	// Keys returns the keys without their values, in no order, and the store's revision, that of its newest change: the keys
	// are all that were there then, and may be some of before or after. With the present revision for since there are none: nothing has changed.
	Keys(ctx context.Context, since uint64) (keys []string, revision uint64, err error)
	// Watch calls f with each existing entry whose key starts with prefix, then once with a
	// zero Entry, then with every change, one at a time, until ctx ends. It returns
	// when the watch stands.
	Watch(ctx context.Context, prefix string, f func(Entry)) error
}

// BlobInfo describes a blob.
type BlobInfo struct {
	Size int64     // bytes
	Time time.Time // when it was stored
}

// Blobs stores large immutable content by name.
type Blobs interface {
	// Put stores what r gives until EOF. Storing a name that exists replaces it.
	Put(ctx context.Context, name string, r io.Reader) error
	// Open returns the content. fault.NotFound. A blob damaged or cut short is an
	// error from Read, before EOF.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Stat describes the blob. fault.NotFound.
	Stat(ctx context.Context, name string) (BlobInfo, error)
	Delete(ctx context.Context, name string) error
}
