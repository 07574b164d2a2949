// Package fault is the one error vocabulary of the engine, its stores and the
// services that use them: a few kinds, each of which says what the caller can do.
// A fault's message is fit for the caller; what went wrong underneath stays
// wrapped as the cause, for logs and for errors.Is. An application turns kinds
// into status codes in one place.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of thing went wrong, and so what the caller can do.
type Kind string

// The kinds. Anything that is not a fault counts as Internal.
const (
	Invalid         Kind = "invalid"         // the request itself is wrong; Fields name where
	Unauthenticated Kind = "unauthenticated" // who is asking is not known
	Forbidden       Kind = "forbidden"       // known, but not allowed
	NotFound        Kind = "not_found"
	Conflict        Kind = "conflict"     // the state does not allow it, or somebody else was first
	Locked          Kind = "locked"       // too many failures; closed for a while
	RateLimited     Kind = "rate_limited" // too often; RetryAfter says when
	Unavailable     Kind = "unavailable"  // not now; RetryAfter says when
	Internal        Kind = "internal"
)

// Error is a fault. Message and Fields reach the caller; Cause never does.
type Error struct {
	Kind       Kind
	Message    string
	Fields     map[string]string // field path in the request → what is wrong with it
	RetryAfter time.Duration     // for RateLimited, Locked and Unavailable; zero when unknown
	Cause      error
}

// Error returns message and cause: for logs.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap returns the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault with a formatted message.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault around cause, which stays out of the message.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// Field makes an Invalid fault about one field of the request.
func Field(field, format string, args ...any) *Error {
	what := fmt.Sprintf(format, args...)
	return &Error{Kind: Invalid, Message: field + ": " + what, Fields: map[string]string{field: what}}
}

// KindOf returns the kind of err; Internal when err is no fault, "" when nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is says whether err is a fault of that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
