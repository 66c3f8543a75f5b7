package credly

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// Noticed returns the notice that the body of a webhook, or a row of the list of
// events, is. Ok reports whether its event can be asked for: whether it has an id
// and is of one of our organizations. A type or a time that is not there is left
// out: the event has them.
func (p *Provider) Noticed(body []byte) (n domain.BadgesNoticed, ok bool) {
	doc, _, err := payload.DecodeJSON(body)
	if err != nil {
		return n, false
	}
	var rd payload.Reader
	n = domain.BadgesNoticed{
		Notice:       oneCase(rd.OptionalID(doc.Get("id"))),
		Organization: rd.OptionalID(doc.Get("organization_id")),
		EventType:    rd.TryLabel(doc.Get("event_type")),
		NoticedAt:    rd.TryTime(doc.Get("occurred_at")),
	}
	ok = rd.Err() == nil && n.Notice != "" && payload.IsLabel(n.Notice) && p.accepts(n.Organization)
	return n, ok && (n.EventType == "" || known(n.EventType))
}

// Ask returns the query for the event that a notice is of, and what it is called
// in [domain.Request].
func (p *Provider) Ask(n domain.BadgesNoticed) (q domain.Query, fetched string) {
	return domain.Query{Path: "organizations/" + url.PathEscape(n.Organization) + "/events/" + url.PathEscape(n.Notice)}, resourceEvent + "/" + n.Notice
}

// Confirm returns nil if an answer says what its notice says: a notice is a hint,
// since nothing proves its sender. The webhook has seconds where the answer has
// milliseconds. An error with code Differs says that the event is another than the
// notice says, one with code Invalid that this is no answer to what was asked, and
// asking again may help.
func (p *Provider) Confirm(n domain.BadgesNoticed, answer []byte) error {
	const op = "credly: confirm"
	doc, _, err := payload.DecodeJSON(answer)
	if err != nil {
		return domain.Errorf(domain.Invalid, op, "%w", err)
	}
	data := doc.Get("data")
	var rd payload.Reader
	got := domain.BadgesNoticed{
		Notice:       rd.ID(data.Get("id")),
		Organization: rd.ID(data.Get("organization_id")),
		EventType:    rd.ID(data.Get("event_type")),
		NoticedAt:    rd.Time(data.Get("occurred_at")),
	}
	if err := rd.Err(); err != nil {
		return domain.Errorf(domain.Invalid, op, "%w", err)
	}
	if !strings.EqualFold(n.Notice, got.Notice) {
		return domain.Errorf(domain.Invalid, op, "the answer is about another event")
	}
	if got.NoticedAt.IsZero() {
		return domain.Errorf(domain.Invalid, op, "the answer has no occurred_at")
	}
	for _, c := range []struct{ what, noticed, answered string }{
		{"organization", strings.ToLower(n.Organization), strings.ToLower(got.Organization)},
		{"type", n.EventType, got.EventType},
		{"time", second(n.NoticedAt), second(got.NoticedAt)},
	} {
		if c.noticed != "" && c.noticed != c.answered {
			return domain.Errorf(domain.Differs, "", "the %s at Credly is not that of the notice", c.what)
		}
	}
	return nil
}

// second returns a moment as text, without what is below the second; "" for none.
func second(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Truncate(time.Second).Format(time.RFC3339)
}

// AnswerKey returns the deduplication key of the answer to a notice; see
// [Provider.Translate].
func (p *Provider) AnswerKey(notice string) string { return payload.Key("event", oneCase(notice)) }

// uuid is the form of Credly's ids.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$`)

// oneCase returns a UUID in lower case, and anything else as it is. The letters of
// a UUID have no case, and an event that was booked under both would be booked
// twice.
func oneCase(id string) string {
	if uuid.MatchString(id) {
		return strings.ToLower(id)
	}
	return id
}

// AskOrganization returns the query for one of our organizations.
func AskOrganization(id string) domain.Query {
	return domain.Query{Path: "organizations/" + url.PathEscape(id)}
}

// WebhookURL returns where the webhooks of an organization go, from the answer to
// [AskOrganization]; "" if they go nowhere.
func WebhookURL(answer []byte) (string, error) {
	doc, _, err := payload.DecodeJSON(answer)
	if err != nil {
		return "", domain.Errorf(domain.Invalid, "credly: read organization", "%w", err)
	}
	var rd payload.Reader
	data := doc.Get("data")
	if !data.IsObject() {
		rd.Fail(data, "is not an object")
	}
	at := rd.Label(data.Get("webhook_url"))
	return at, rd.Err()
}
