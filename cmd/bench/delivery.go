package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// People and courses that deliveries are about. Their ids come again, so that
// projections change rows as well as add them.
const (
	people  = 20_000
	courses = 40
)

// A delivery is a Thinkific enrollment.created with an id of its own, as large
// as those that Thinkific sends.
type delivery struct {
	id, person, course int64
	body               []byte
}

func newDelivery(n int64) delivery {
	d := delivery{id: n, person: 100_000 + n%people, course: 4000 + n/people%courses}
	d.body = fmt.Appendf(make([]byte, 0, 800), `{"id":"20260301%012d","resource":"enrollment","action":"created","tenant_id":"48190","tenant_global_id":"d3b1fd2c-1a2b-4c3d",`+
		`"created_at":"2026-03-01T14:17:01.924Z","timestamp":1772374621,"payload":{"activated_at":"2026-03-01T14:16:52.255Z","completed_at":null,`+
		`"course":{"id":%[2]d,"name":"Confined Spaces Entry"},"course_id":%[2]d,"created_at":"2026-03-01T14:16:52.285Z",`+
		`"expiry_date":"2027-03-01T14:16:52.255Z","free_trial":false,"id":%[1]d,"percentage_completed":"0.0",`+
		`"started_at":"2026-03-01T14:17:01.891Z","updated_at":"2026-03-01T14:17:01.924Z",`+
		`"user":{"email":"grace.okafor.%[3]d@example.com","first_name":"Grace","id":%[3]d,"last_name":"Okafor"}}}`, n, d.course, d.person)
	return d
}

// translation is what the provider makes of d.
func (d delivery) translation() domain.Translation {
	at := time.Date(2026, 3, 1, 14, 17, 1, 924e6, time.UTC)
	person := strconv.FormatInt(d.person, 10)
	return domain.Translation{
		Topic: "enrollment.created",
		Key:   fmt.Sprintf("20260301%012d", d.id),
		Facts: []domain.Fact{{OccurredAt: at, Event: domain.LearningEnrolled{
			Learner: domain.Learner{Person: person, Name: "Grace Okafor", Email: domain.Personal("grace.okafor." + person + "@example.com")},
			Subject: domain.Subject{
				SubjectType: domain.SubjectCourse, Subject: strconv.FormatInt(d.course, 10), SubjectName: "Confined Spaces Entry",
			},
			Enrolment:   strconv.FormatInt(d.id, 10),
			EnrolledAt:  at,
			StartedAt:   at,
			AccessUntil: at.AddDate(1, 0, 0),
		}}},
	}
}
