package braincert

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// rows are what a back-fill asks of BrainCert's API, by the resource that a
// request was fetched as. What a row looks like is not documented beyond ids and
// names: it is read as the payload of a webhook about the same thing.
var rows = []route{
	{"users", domain.ActivityListed, "User Listed", names{"user_id", "id"}, nil, personSeen},
	{"courses", domain.ActivityListed, "Course Listed", names{"course_id", "id"}, nil, itemSeen(domain.ItemCourse)},
	{"groups", domain.ActivityListed, "Group Listed", names{"group_id", "id"}, nil, groupListed},
}

// translateRow returns the fact in one row of an answer, such as "users/789310".
// It is known since it was fetched. Its key has its bytes: the same row told again
// is a repetition, a changed row another fact.
func translateRow(r domain.Request) (domain.Translation, error) {
	resource, id, _ := strings.Cut(r.Fetched, "/")
	i := slices.IndexFunc(rows, func(rt route) bool { return rt.resource == resource })
	if i < 0 {
		return domain.Translation{Topic: label(r.Fetched), Reason: "unknown resource"}, nil
	}
	rt := rows[i]
	sum := sha256.Sum256(r.Body)
	t := domain.Translation{Topic: rt.topic, Key: payload.Key(resource, id, hex.EncodeToString(sum[:]))}
	doc, flags, err := payload.DecodeJSON(r.Body)
	if err != nil {
		t.Flags = flags
		return t, invalid(rt.topic, err)
	}
	rd := &reader{doc: doc, body: doc}
	rd.Flag(flags...)
	rt.subject = names{rd.asked(rt.subject, id)}
	return booked(t, rd, domain.Fact{Event: rt.translate(rd, rt)})
}

// asked returns the place at which the body has the id that was asked for, and
// fails if there is none.
func (r *reader) asked(places names, id string) string {
	for _, place := range places {
		if v := r.body.Get(place); v.Filled() && r.text(v) == id {
			return place
		}
	}
	if v := r.first(places); v.Filled() {
		r.Fail(v, "is not %.40q, which was asked for", id)
	}
	return places[0]
}

// groupListed is [groupSeen] for a row.
func groupListed(r *reader, rt route) domain.Event {
	return domain.DirectoryGroupListed(groupOf(r, rt))
}
