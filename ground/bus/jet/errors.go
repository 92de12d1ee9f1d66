package jet

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Codes of JetStream errors that have no name in its client.
const (
	codeAccountExceeded       = 10002
	codeInsufficientResources = 10023
	codeStorageExceeded       = 10047
	codeMemoryExceeded        = 10028
	codeStreamStoreFailed     = 10077
	codeNotEnabled            = 10076
	codeDuplicateInProcess    = 10158
	codeNotAvailable          = 10008
	codeNoPeers               = 10005
)

var errNobody = errors.New("nothing answers there")

// wrong turns an error of NATS into one of the fleet's. Nil stays nil.
func wrong(op, id string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if source, ok := errors.AsType[*sourceError](err); ok {
		return fault.New(fault.KindOf(source.err), op, id, source.err)
	}
	e := fault.New(kindOf(err), op, shown(id), plain(err))
	switch e.Kind {
	case fault.Denied:
		e.WithHint("the key is not that of this fleet: give the right one with --key or BECOME_KEY")
	case fault.Busy:
		e.WithHint("the store is full: free disk space, or wait until jobs are done")
	}
	return e
}

// notConnected says why there is no connection, and what may be done.
func notConnected(url string, err error) error {
	if errors.Is(err, nats.ErrNoServers) {
		return fault.New(fault.Lost, "connect to", shown(url), errNobody).
			WithHint("is the node there up, with --listen for other machines? become nodes says there where it is")
	}
	return wrong("connect to", url, fault.Reason(err))
}

// shown is an address, or several of them, without passwords. A password may have an @ itself.
func shown(id string) string {
	all := strings.Split(id, ",")
	for i, one := range all {
		scheme, rest, ok := strings.Cut(one, "://")
		if !ok { // not an address each: there is a comma in a password, or something else is meant
			return id[strings.LastIndex(id, "@")+1:]
		}
		all[i] = scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return strings.Join(all, ",")
}

// plain is what the server said, without codes.
func plain(err error) error {
	if api := apiError(err); api != nil && api.Description != "" {
		return errors.New(api.Description)
	}
	return err
}

func apiError(err error) *jetstream.APIError {
	if js, ok := errors.AsType[jetstream.JetStreamError](err); ok {
		return js.APIError()
	}
	api, _ := errors.AsType[*jetstream.APIError](err)
	return api
}

func kindOf(err error) fault.Kind {
	if api := apiError(err); api != nil {
		return kindOfCode(api)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fault.Deadline
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrPermissionViolation):
		return fault.Denied
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrObjectNotFound),
		errors.Is(err, jetstream.ErrMsgNotFound), errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return fault.NotFound
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrStaleConnection):
		return fault.Lost
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrInvalidKey):
		return fault.Invalid
	}
	if strings.Contains(strings.ToLower(err.Error()), "authorization violation") {
		return fault.Denied
	}
	return fault.Lost // the network's own errors
}

func kindOfCode(e *jetstream.APIError) fault.Kind {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fault.Conflict
	case jetstream.JSErrCodeMessageNotFound, jetstream.JSErrCodeStreamNotFound, jetstream.JSErrCodeConsumerNotFound:
		return fault.NotFound
	case codeAccountExceeded, codeInsufficientResources, codeStorageExceeded, codeMemoryExceeded, codeStreamStoreFailed:
		return fault.Busy
	case codeNotEnabled, codeNotAvailable, codeNoPeers:
		return fault.Lost
	}
	switch e.Code {
	case 404:
		return fault.NotFound
	case 400:
		return fault.Invalid
	case 503:
		return fault.Busy
	}
	return fault.Internal
}
