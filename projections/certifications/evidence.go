package certifications

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// Evidence is what a row is derived from where the first, the last or the
// greatest value alone is not enough: sets of facts, each once, in an order that
// has nothing to do with their arrival. They are few, since somebody has to do
// something for each: complete a course, sit a test, change a badge. Progress,
// which comes in bursts, is not among them.
type evidence struct {
	Completions []completion `json:"completions,omitempty"`
	Attempts    []attempt    `json:"attempts,omitempty"`
	Reports     []report     `json:"reports,omitempty"`
	Listed      report       `json:"listed,omitzero"` // what a list said last
	Enrolments  []enrolment  `json:"enrolments,omitempty"`
}

// parseEvidence reads what text wrote.
func parseEvidence(text string) (all evidence, err error) {
	if text == "" {
		return evidence{}, nil
	}
	return all, json.Unmarshal([]byte(text), &all)
}

// evidence returns what a row is derived from.
func (s *status) evidence() (*evidence, error) {
	if s.parsed != nil {
		return s.parsed, nil
	}
	all, err := parseEvidence(s.facts)
	s.parsed = &all
	return s.parsed, err
}

// clone returns a copy that can be changed.
func (all *evidence) clone() evidence {
	return evidence{
		slices.Clone(all.Completions), slices.Clone(all.Attempts), slices.Clone(all.Reports), all.Listed, slices.Clone(all.Enrolments),
	}
}

// equal reports whether the text is certainly the same.
func (all evidence) equal(o evidence) bool {
	return slices.Equal(all.Completions, o.Completions) && slices.Equal(all.Attempts, o.Attempts) &&
		slices.Equal(all.Reports, o.Reports) && all.Listed == o.Listed && slices.Equal(all.Enrolments, o.Enrolments)
}

// text returns the evidence as JSON, "" if there is none.
func (all evidence) text() (string, error) {
	data, err := domain.Marshal(all)
	if string(data) == "{}" {
		return "", err
	}
	return string(data), err
}

// add adds a fact to a sorted set.
func add[F any](all []F, f F, compare func(a, b F) int) []F {
	at, found := slices.BinarySearchFunc(all, f, compare)
	if found {
		return all
	}
	return slices.Insert(all, at, f)
}

// A completion is one reported completion of a course.
type completion struct {
	At          time.Time `json:"at"`
	State       string    `json:"state"` // of the certificate
	Expiry      string    `json:"expiry,omitempty"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Certificate string    `json:"certificate,omitempty"`
	Enrolment   string    `json:"enrolment,omitempty"`
}

func (c completion) compare(o completion) int {
	return cmp.Or(
		c.At.Compare(o.At),
		cmp.Compare(c.State, o.State),
		cmp.Compare(c.Expiry, o.Expiry),
		c.ExpiresAt.Compare(o.ExpiresAt),
		cmp.Compare(c.Certificate, o.Certificate),
		cmp.Compare(c.Enrolment, o.Enrolment),
	)
}

// certified reports whether the completion came with a certificate.
func (c completion) certified() bool {
	return c.State == domain.CertificateIssued || c.Certificate != "" || c.Expiry == domain.ExpiryOn
}

// datedBy reports whether o states when the very certificate of c expires.
func (c completion) datedBy(o completion) bool {
	return o.Expiry == domain.ExpiryOn && c.Certificate != "" && o.Certificate == c.Certificate
}

// An attempt is one reported result of a test. Attempts are in order of time; a
// result that is known comes after one that is not, a pass after a fail.
type attempt struct {
	At           time.Time `json:"at"`
	Outcome      string    `json:"outcome"`
	Attempt      string    `json:"attempt,omitempty"`
	Score        string    `json:"score,omitempty"` // decimal
	PassingScore string    `json:"passing_score,omitempty"`
}

func (a attempt) compare(o attempt) int {
	return cmp.Or(
		a.At.Compare(o.At),
		cmp.Compare(outcomeRank(a.Outcome), outcomeRank(o.Outcome)),
		cmp.Compare(a.Attempt, o.Attempt),
		cmp.Compare(a.Score, o.Score),
		cmp.Compare(a.PassingScore, o.PassingScore),
	)
}

func outcomeRank(outcome string) int {
	return slices.Index([]string{
		domain.OutcomeUnknown, domain.OutcomePending, domain.OutcomeFailed, domain.OutcomePassed,
	}, outcome)
}

// A report is one state of a badge. Reports are in the order of the badge's
// clock, then of when it was last said; then the state further on in a badge's
// life comes last; then by what they say, only so that there is an order.
type report struct {
	Clock        time.Time `json:"clock"`
	At           time.Time `json:"at,omitzero"` // when it was last said, word for word
	State        string    `json:"state"`
	Template     string    `json:"template"`
	TemplateName string    `json:"template_name,omitempty"`
	IssuedAt     time.Time `json:"issued_at,omitzero"`
	ExpiresAt    time.Time `json:"expires_at,omitzero"`
	Public       bool      `json:"public,omitempty"`
	Replaces     string    `json:"replaces,omitempty"`
	ReplacedBy   string    `json:"replaced_by,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Earner       string    `json:"earner,omitempty"` // of a list: the employer's id of the person
	User         string    `json:"user,omitempty"`   // of a list: the employment
}

// outdates reports whether r, which a list says, is news after everything that was
// reported of the badge itself, of which o is the last. A list does not say since
// when a badge is in its state. So it counts only if it was so later than all that
// is known, and not against the way that a badge's life goes: what is behind it
// comes from a list that was not up to date, and what ended has ended.
func (r report) outdates(o report, said time.Time) bool {
	if !r.Clock.After(o.Clock) || !r.Clock.After(said) {
		return false
	}
	ended := stateRank(o.State) > stateRank(domain.BadgeAccepted)
	return r.State == o.State || stateRank(r.State) > stateRank(o.State) && !ended
}

func (r report) compare(o report) int {
	return cmp.Or(
		r.Clock.Compare(o.Clock),
		r.At.Compare(o.At),
		cmp.Compare(stateRank(r.State), stateRank(o.State)),
		r.compareContent(o),
	)
}

// compareContent compares what two reports say, whenever they say it.
func (r report) compareContent(o report) int {
	public := func(r report) string {
		if r.Public {
			return "public"
		}
		return ""
	}
	return cmp.Or(
		r.Clock.Compare(o.Clock),
		r.IssuedAt.Compare(o.IssuedAt),
		r.ExpiresAt.Compare(o.ExpiresAt),
		slices.Compare(
			[]string{r.State, r.Template, r.TemplateName, public(r), r.Replaces, r.ReplacedBy, r.Reason, r.Earner, r.User},
			[]string{o.State, o.Template, o.TemplateName, public(o), o.Replaces, o.ReplacedBy, o.Reason, o.Earner, o.User},
		),
	)
}

// stateRank orders the states of a badge as its life goes; a word that is not
// known is taken for the start of it.
func stateRank(state string) int {
	return slices.Index([]string{
		domain.BadgePending, domain.BadgeAccepted, domain.BadgeRejected, domain.BadgeReplaced, domain.BadgeRevoked,
	}, strings.ToLower(state))
}

// addReport adds a report to a sorted set. The same words said again are the
// same report, said last at the later time.
func addReport(all []report, r report) []report {
	if i := slices.IndexFunc(all, func(o report) bool { return r.compareContent(o) == 0 }); i >= 0 {
		if r.At.Before(all[i].At) {
			return all
		}
		all = slices.Delete(all, i, i+1)
	}
	return add(all, r, report.compare)
}
