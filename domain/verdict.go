package domain

import "strings"

// A Verdict is what a check says about evidence. A check that could not look at
// something says so: it never guesses.
type Verdict string

// Verdicts, the gravest last.
const (
	OK         Verdict = "ok"         // everything was looked at and is what it should be
	Incomplete Verdict = "incomplete" // nothing is known to be wrong, and something is missing to be sure
	Fail       Verdict = "fail"       // something is not what it should be
)

// String returns v as people read it, such as "OK".
func (v Verdict) String() string { return strings.ToUpper(string(v)) }

// And returns the graver of two verdicts.
func (v Verdict) And(other Verdict) Verdict {
	if v == Fail || other == Fail {
		return Fail
	}
	if v == Incomplete || other == Incomplete {
		return Incomplete
	}
	return OK
}
