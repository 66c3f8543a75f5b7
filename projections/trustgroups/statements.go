package trustgroups

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// A statement is what one record says of a membership.
//
// Statements are totally ordered: those from a list come before all others; then by
// clock; a clock of the provider's own after a time of receipt; confirmed after
// assumed; then by phase, so that of two statements that contradict each other at
// the same moment the one that gives less counts; then by their fields, only so that
// there is an order.
type statement struct {
	Clock     time.Time `json:"clock"`
	Stated    bool      `json:"stated,omitempty"` // the clock is the provider's
	Listed    bool      `json:"listed,omitempty"` // from a list, not from a webhook
	Assumed   bool      `json:"assumed,omitempty"`
	Status    string    `json:"status"`
	From      time.Time `json:"from,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	GroupName string    `json:"group_name,omitempty"`
}

func newStatement(r *domain.Record, e domain.TrustgroupsMemberChanged) statement {
	s := statement{
		Clock: e.ChangedAt, Stated: !e.ChangedAt.IsZero(), Assumed: e.Assumed,
		Status: e.Status, From: e.From, Until: e.Until, GroupName: e.GroupName,
	}
	if !s.Stated {
		s.Clock = r.OccurredAt
	}
	return s
}

func (s statement) compare(o statement) int {
	return cmp.Or(
		compareBool(o.Listed, s.Listed),
		s.Clock.Compare(o.Clock),
		compareBool(s.Stated, o.Stated),
		compareBool(o.Assumed, s.Assumed),
		cmp.Compare(phaseOf(s.Status), phaseOf(o.Status)),
		cmp.Compare(s.Status, o.Status),
		s.From.Compare(o.From),
		s.Until.Compare(o.Until),
		cmp.Compare(s.GroupName, o.GroupName),
	)
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// A phase is what a status means for the membership.
type phase int

// Phases, in the order in which they win a tie.
const (
	phaseNone    phase = iota // nothing was ever said
	phaseWaiting              // not yet a member
	phaseMember
	phaseOut // not, or not any more
)

// The provider's words for statuses are not documented. These are understood,
// in any case; every other word is taken for a member's.
var (
	waiting = strings.Fields("applied awaiting invited pending requested")
	out     = strings.Fields(`archived canceled cancelled deactivated declined deleted disabled ended
		expired inactive lapsed left rejected removed resigned revoked suspended terminated withdrawn`)
)

func phaseOf(status string) phase {
	word := strings.ToLower(strings.TrimSpace(status))
	switch {
	case slices.Contains(out, word):
		return phaseOut
	case slices.Contains(waiting, word):
		return phaseWaiting
	}
	return phaseMember
}

// statements are all that was said of one membership, sorted and each once.
// They are few: somebody has to do something for each.
type statements []statement

// parseStatements reads what text wrote.
func parseStatements(text string) (all statements, err error) {
	if text == "" {
		return nil, nil
	}
	return all, json.Unmarshal([]byte(text), &all)
}

// text returns the statements as a JSON array.
func (all statements) text() (string, error) {
	data, err := domain.Marshal(all)
	return string(data), err
}

// with returns the statements and s among them, and at which index; -1 if it
// was there already.
func (all statements) with(s statement) (_ statements, at int) {
	at, found := slices.BinarySearchFunc(all, s, statement.compare)
	if found {
		return all, -1
	}
	return slices.Insert(all, at, s), at
}

// phase returns the phase of the statement that decides, the last one.
func (all statements) phase() phase {
	if len(all) == 0 {
		return phaseNone
	}
	return phaseOf(all[len(all)-1].Status)
}

// effect returns what the statement at the given index did, where the phase was
// before.
func (all statements) effect(at int, before phase) string {
	after := all.phase()
	switch {
	case at < 0:
		return effectRepeated
	case at < len(all)-1:
		return effectLate
	case after == phaseMember && before != phaseMember:
		return effectJoined
	case after == phaseOut && before != phaseOut:
		return effectLeft
	}
	return effectChanged
}

// counting returns the statements that count: without those from a list, if there
// is any other.
func (all statements) counting() statements {
	n := slices.IndexFunc(all, func(s statement) bool { return !s.Listed })
	return all[max(n, 0):]
}

// describe sets what the statements that count say of the membership.
//
// Status and until are the last statement's. Since is what the last statement
// says, else what was last said during the spell of membership that is shown,
// else the first moment of that spell: a member who left and came back is one
// since the return. A member who is out is one until that was first said, or
// until an earlier end if one is stated: a contract's end in the future does not
// keep somebody in who was removed.
func (all statements) describe(m *member) {
	all = all.counting()
	last := all[len(all)-1]
	m.status, m.changedAt, m.assumed = last.Status, last.Clock, last.Assumed
	m.since, m.until = last.From, last.Until
	m.groupName = ""
	for _, s := range all {
		m.groupName = cmp.Or(s.GroupName, m.groupName)
	}
	ended, spell := all.lastSpell()
	if len(ended) > 0 && (m.until.IsZero() || m.until.After(ended[0].Clock)) {
		m.until = ended[0].Clock
	}
	for _, s := range slices.Backward(spell) {
		if m.since.IsZero() {
			m.since = s.From
		}
	}
	if m.since.IsZero() && len(spell) > 0 {
		m.since = spell[0].Clock
	}
}

// lastSpell returns the statements at the end that say the member is out, and
// those before them that say the member is in, without a gap.
func (all statements) lastSpell() (ended, spell statements) {
	n := len(all)
	for n > 0 && phaseOf(all[n-1].Status) == phaseOut {
		n--
	}
	ended, all = all[n:], all[:n]
	for n > 0 && phaseOf(all[n-1].Status) == phaseMember {
		n--
	}
	return ended, all[n:]
}

// addLine adds a line to sorted lines, if it is not there.
func addLine(lines, line string) string {
	if lines == "" {
		return line
	}
	all := strings.Split(lines, "\n")
	if at, found := slices.BinarySearch(all, line); !found {
		all = slices.Insert(all, at, line)
	}
	return strings.Join(all, "\n")
}
