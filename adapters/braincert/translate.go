package braincert

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// A route says what a delivery with one resource and action is about.
type route struct {
	resource, action string
	topic            string // BrainCert's name of it
	subject          names  // where in the payload the id of what it is about is
	time             names  // where in the payload it is said when it happened
	translate        func(*reader, route) domain.Event
}

// Names are places in a payload, each a path such as "course/id"; the first one
// that is filled counts.
type names []string

// personID is where a payload about a person and a thing has the person's id.
var personID = names{"user/id", "user/user_id"}

// routes are the 24 topics of BrainCert. "completed" alone means three things.
var routes = []route{
	{"user", "signup", "User Created", names{"user_id", "id"}, names{"date_added"}, personSeen},
	{"user", "updated", "User Updated", names{"id", "user_id"}, nil, personSeen},
	{"user", "deleted", "User Deleted", names{"id", "user_id"}, nil, personRemoved},
	{"group", "created", "Group Created", names{"group_id", "id"}, nil, groupSeen},

	{"course", "created", "Course Created", names{"id"}, names{"created_at"}, itemSeen(domain.ItemCourse)},
	{"course", "updated", "Course Updated", names{"id"}, nil, itemSeen(domain.ItemCourse)},
	{"course", "deleted", "Course Deleted", names{"id"}, nil, itemRemoved(domain.ItemCourse)},
	{"bundle", "created", "Course Bundle Created", names{"id"}, names{"created_at"}, itemSeen(domain.ItemBundle)},
	{"bundle", "updated", "Course Bundle Updated", names{"id"}, nil, itemSeen(domain.ItemBundle)},
	{"bundle", "deleted", "Course Bundle Deleted", names{"id"}, nil, itemRemoved(domain.ItemBundle)},
	{"assessment", "created", "Test Created", names{"id"}, names{"created_at"}, itemSeen(domain.ItemTest)},
	{"assessment", "updated", "Test Updated", names{"id"}, nil, itemSeen(domain.ItemTest)},
	{"assessment", "deleted", "Test Deleted", names{"id"}, nil, itemRemoved(domain.ItemTest)},
	{"virtual classroom", "created", "Live Class Created", names{"class_id", "id"}, nil, itemSeen(domain.ItemClass)},
	{"virtual classroom", "updated", "Live Class Updated", names{"class_id", "id"}, nil, itemSeen(domain.ItemClass)},
	{"virtual classroom", "deleted", "Live Class Deleted", names{"class_id", "id"}, nil, itemRemoved(domain.ItemClass)},
	{"product", "created", "Product Created", names{"sku", "slug"}, nil, itemSeen(domain.ItemProduct)},
	{"product", "deleted", "Product Deleted", names{"sku", "slug"}, nil, itemRemoved(domain.ItemProduct)},

	{"course_enrollment", "enrollment", "Course Enrollment", names{"course/id"}, names{"started_at", "activated_at"}, enrolled(domain.SubjectCourse, "course")},
	{"test_enrollment", "enrollment", "Test Enrollment", names{"test/id"}, names{"started_at", "activated_at"}, enrolled(domain.SubjectTest, "test")},
	{"virtual classroom", "enrollment", "Live Class Enrollment", names{"class_id", "live_class/id"}, names{"enrolled_at"}, enrolled(domain.SubjectClass, "live_class")},
	{"course_completion", "completed", "Course Completed", names{"course/id"}, names{"course/completion_date"}, completed},
	{"assessment", "completed", "Test Completed", names{"id"}, nil, tested},

	{"purchase", "completed", "New Sale", names{"order_id"}, names{"order_date"}, sold},
}

// routeOf returns the route of a topic, none for none.
func routeOf(topic string) (route, error) {
	if topic == "" {
		return route{}, nil
	}
	var topics []string
	for _, rt := range routes {
		if rt.topic == topic {
			return route{resource: rt.resource, action: rt.action}, nil
		}
		topics = append(topics, rt.topic)
	}
	return route{}, domain.Errorf(domain.Usage, "braincert: configure", "there is no topic %.40q", topic).
		WithHint("The topics are: " + strings.Join(topics, ", ") + ".")
}

// Translate returns the fact that a delivery reports.
//
// Its key is the resource, the action, the delivery's id, the subject's and the
// person's. A delivery without the id or the subject has no key. What was fetched
// is one row of a list; see [translateRow].
func (p *Provider) Translate(r domain.Request) (domain.Translation, error) {
	if r.Fetched != "" {
		return translateRow(r)
	}
	doc, flags, err := decode(r)
	if err != nil {
		return domain.Translation{Flags: flags}, invalid("", err)
	}
	doc = p.fields.Over(doc)
	rd := &reader{doc: doc, body: doc.Get("payload"), thousands: p.thousands}
	rd.Flag(flags...)
	resource, action := rd.word("resource", p.route.resource), rd.word("action", p.route.action)
	if err := rd.Err(); err != nil {
		return domain.Translation{Flags: flags}, invalid("", err)
	}
	i := slices.IndexFunc(routes, func(r route) bool { return r.resource == resource && r.action == action })
	if i < 0 {
		return domain.Translation{Topic: payload.Topic(resource + " " + action), Flags: flags, Reason: "unknown topic"}, nil
	}
	rd.expectDomain(p.domain)
	return translate(rd, routes[i])
}

func translate(rd *reader, rt route) (domain.Translation, error) {
	t := domain.Translation{Topic: rt.topic, Key: key(rd, rt), Test: isTest(rd.body)}
	fact := domain.Fact{OccurredAt: rd.occurredAt(rt)}
	fact.Event = rt.translate(rd, rt)
	return booked(t, rd, fact)
}

// booked returns t with the fact that was read, or the error that forbids it. A
// test that cannot be read is no error.
func booked(t domain.Translation, rd *reader, fact domain.Fact) (domain.Translation, error) {
	t.Flags = rd.Flagged()
	err := rd.Err()
	if err == nil {
		err = fact.Event.Validate()
	}
	switch {
	case err == nil:
		t.Facts = []domain.Fact{fact}
	case t.Test:
		t.Reason = "test"
	default:
		return t, invalid(t.Topic, err)
	}
	return t, nil
}

// key returns the deduplication key, and "" without an id or a subject.
func key(rd *reader, rt route) string {
	scratch := &reader{doc: rd.doc, body: rd.body} // what is wrong is found again when it is needed
	id, subject := scratch.id(rd.doc.Get("id")), scratch.id(scratch.first(rt.subject))
	if scratch.Err() != nil {
		return ""
	}
	parts := []string{rt.resource, rt.action, id, subject}
	if person := scratch.tryID(scratch.first(personID)); person != "" {
		parts = append(parts, person)
	}
	return payload.Key(parts...)
}

// decode reads the body as what its first character says it is, whatever its
// content type says; that counts only if the body begins like neither.
func decode(r domain.Request) (payload.Value, []string, error) {
	begin := bytes.TrimLeft(payload.TrimByteOrderMark(r.Body), " \t\r\n")
	switch {
	case bytes.HasPrefix(begin, []byte("<")):
		return payload.DecodeXML(r.Body)
	case bytes.HasPrefix(begin, []byte("{")), bytes.HasPrefix(begin, []byte("[")), !saysXML(r.Header):
		return payload.DecodeJSON(r.Body)
	}
	return payload.DecodeXML(r.Body)
}

// saysXML reports whether a content type is that of XML (RFC 7303).
func saysXML(header http.Header) bool {
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return media == "application/xml" || media == "text/xml" || strings.HasSuffix(media, "+xml")
}

func invalid(topic string, err error) error {
	return domain.Errorf(domain.Invalid, strings.TrimSpace("braincert: translate "+topic), "%w", err)
}
