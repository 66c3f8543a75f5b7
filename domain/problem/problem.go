// Package problem says what a failure looks like to those outside: one JSON
// form and one HTTP status per code, the same on every path, so that a client
// needs to learn them once. What only concerns those who run daybook, such as
// what a database driver has to say, does not get out.
package problem

import (
	"errors"
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
)

var statuses = map[domain.Code]int{
	domain.Usage:           http.StatusBadRequest,
	domain.Invalid:         http.StatusBadRequest,
	domain.Unauthenticated: http.StatusUnauthorized,
	domain.NotAllowed:      http.StatusForbidden,
	domain.NotFound:        http.StatusNotFound,
	domain.Refused:         http.StatusConflict,
	domain.TooLarge:        http.StatusRequestEntityTooLarge,
	domain.Unsupported:     http.StatusUnsupportedMediaType,
	domain.Differs:         http.StatusInternalServerError,
	domain.Internal:        http.StatusInternalServerError,
	domain.Unreachable:     http.StatusServiceUnavailable,
	domain.Unavailable:     http.StatusServiceUnavailable,
	domain.Limited:         http.StatusTooManyRequests,
}

// Status returns the HTTP status of a failure with the given code. A status
// below 500 says that the request is at fault. With 429 and
// 503 goes a Retry-After.
func Status(code domain.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// private are the codes of failures whose cause may quote a driver, and with it
// a host, a user or a statement, and what is said in its place.
var private = map[domain.Code]string{
	domain.Internal:    "something went wrong inside daybook; its log says what",
	domain.Unreachable: "the database cannot be reached",
	domain.Unavailable: "not now; the same request may succeed later",
}

// JSON returns what a client is told about err, which must not be nil: an
// object and a newline,
//
//	{"error":{"code":"invalid","message":"parameter limit: is \"x\", not a number of rows","hint":"…"}}
//
// The hint is left out if there is none. Of failures inside, the message says
// no more than that; see [Verbose].
func JSON(err error) []byte {
	code := domain.CodeOf(err)
	message, hidden := private[code]
	if !hidden {
		message = err.Error()
		if e, ok := errors.AsType[*domain.Error](err); ok {
			message = e.Error() // and not what was joined to it
		}
	}
	return form(code, message, domain.HintOf(err))
}

// Verbose returns the same form with the whole message, for those who run
// daybook. It must not be sent to anybody else.
func Verbose(err error) []byte {
	return form(domain.CodeOf(err), err.Error(), domain.HintOf(err))
}

func form(code domain.Code, message, hint string) []byte {
	type problem struct {
		Code    domain.Code `json:"code"`
		Message string      `json:"message"`
		Hint    string      `json:"hint,omitempty"`
	}
	data, err := domain.Marshal(struct {
		Error problem `json:"error"`
	}{problem{code, message, hint}})
	if err != nil {
		panic(err) // three texts
	}
	return append(data, '\n')
}
