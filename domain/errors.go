package domain

import (
	"errors"
	"fmt"
)

// A Code says what kind of failure an [Error] is.
// The HTTP status and the exit status are both tables over the code alone.
type Code string

// Failure codes.
const (
	Internal        Code = "internal"        // a bug, or a failure with no better name
	Usage           Code = "usage"           // the command line or the configuration is wrong
	Invalid         Code = "invalid"         // the input is malformed; sending it again cannot help
	TooLarge        Code = "too_large"       // the input is larger than the limit
	Unsupported     Code = "unsupported"     // the input is of a media type that is not read
	Unauthenticated Code = "unauthenticated" // the signature or credentials are missing or wrong
	NotAllowed      Code = "not_allowed"     // who asks is known and may not
	NotFound        Code = "not_found"       // there is no such thing
	Refused         Code = "refused"         // a rule of the product forbids it
	Differs         Code = "differs"         // a check says no: the log or a projection is not what it should be
	Unreachable     Code = "unreachable"     // the database cannot be reached or started
	Unavailable     Code = "unavailable"     // not now; the same request may succeed later
	Limited         Code = "limited"         // whoever asks has asked too often; the same request may succeed later
)

// An Error is a failure described for the person who has to deal with it.
type Error struct {
	Code Code
	Op   string // what was being done, such as "tahdah: verify"
	Hint string // what to do about it, in the imperative; may be empty
	Err  error  // the cause
}

// Error returns "op: cause". The hint is left to the user interface.
func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// WithHint returns a copy of e that advises the user to do hint.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// Errorf returns an [Error] whose cause is formatted as by [fmt.Errorf].
func Errorf(code Code, op, format string, args ...any) *Error {
	return &Error{Code: code, Op: op, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the code of the first [Error] in err's tree, [Internal] if
// there is none, and "" if err is nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// HintOf returns the hint of the first [Error] in err's tree that has one.
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
