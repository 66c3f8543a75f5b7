package braincert

import (
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
// A row may have a number of its own beside the person's. It is known since it was
// fetched. Its key has its bytes: the same row told again is a repetition, a changed
// row another fact.
func translateRow(r domain.Request) (domain.Translation, error) {
	resource, id, _ := strings.Cut(r.Fetched, "/")
	i := slices.IndexFunc(rows, func(rt route) bool { return rt.resource == resource })
	if i < 0 {
		return domain.Translation{Topic: payload.Topic(r.Fetched), Reason: "unknown resource"}, nil
	}
	rt := rows[i]
	t := domain.Translation{Topic: rt.topic, Key: payload.Key(resource, id, payload.Digest(r.Body))}
	doc, flags, err := payload.DecodeJSON(r.Body)
	if err != nil {
		t.Flags = flags
		return t, invalid(rt.topic, err)
	}
	rd := &reader{doc: doc, body: doc}
	rd.Flag(flags...)
	if id != payload.RowID(r.Body) {
		rd.expectID(rt.subject, id)
	}
	return booked(t, rd, domain.Fact{Event: rt.translate(rd, rt)})
}

// expectID fails if the row has ids, none of which is the one that was asked for.
func (r *reader) expectID(places names, id string) {
	for _, place := range places {
		if r.tryID(r.body.Get(place)) == id {
			return
		}
	}
	if v := r.first(places); v.Filled() {
		r.Fail(v, "is not the one that was asked for")
	}
}

// groupListed is [groupSeen] for a row.
func groupListed(r *reader, rt route) domain.Event {
	return domain.DirectoryGroupListed(groupOf(r, rt))
}
