package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A mix is a log that is made up, the same for the same numbers. What it is about
// comes again and again, so that a log twice as long has the same keys.
type mix struct {
	people, courses, lines, orders int
}

// everyday has some 240,000 rows with a key: people, who learn what, credit lines, orders.
var everyday = mix{people: 20_000, courses: 40, lines: 5_000, orders: 10_000}

var mixEpoch = time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC)

// event returns the i-th event of the log and its source. Of a hundred, 62 are about
// learning, 14 report credits, 14 are sales and payments, 5 badges, 5 the rest.
func (m mix) event(i int) (source string, e domain.Event) {
	at := mixEpoch.Add(time.Duration(i) * 7 * time.Second)
	scramble := func(n, of int) int {
		return int((uint64(i)*0x9E3779B97F4A7C15 + uint64(n)*0xBF58476D1CE4E5B9) >> 33 % uint64(of)) //nolint:gosec // it wraps around on purpose
	}
	person := scramble(1, m.people)
	course := (person*7 + scramble(2, 3)) % m.courses // three courses each
	learner := domain.Learner{Person: strconv.Itoa(100_000 + person), Name: sealed("n", person, 14), Email: sealed("e", person, 28)}
	subject := domain.Subject{SubjectType: domain.SubjectCourse, Subject: strconv.Itoa(4000 + course), SubjectName: "Confined Spaces Entry " + strconv.Itoa(course)}
	enrolment := strconv.Itoa(900_000 + person*m.courses + course)
	switch kind := i % 100; {
	case kind < 20:
		start := mixEpoch.Add(time.Duration(person) * time.Hour)
		return "acme-thinkific", domain.LearningEnrolled{Learner: learner, Subject: subject, Enrolment: enrolment, EnrolledAt: start, StartedAt: start.Add(36 * time.Second), AccessUntil: start.AddDate(1, 0, 0)}
	case kind < 50:
		return "acme-thinkific", domain.LearningProgressed{
			Learner: learner, Subject: subject, Enrolment: enrolment,
			Reported: "0." + strconv.Itoa(1+scramble(3, 99)), Scale: domain.ScaleFraction, StartedAt: mixEpoch.Add(time.Duration(person) * time.Hour),
		}
	case kind < 57:
		day := mixEpoch.AddDate(0, 6, person%28)
		return "acme-thinkific", domain.LearningCompleted{Learner: learner, Subject: subject, Enrolment: enrolment, CompletedAt: day, Certificate: domain.Certificate{
			State: domain.CertificateIssued, ID: "cert-" + enrolment, URL: sealed("u", person, 60), Expiry: domain.ExpiryOn, ExpiresAt: day.AddDate(2, 0, 0),
		}}
	case kind < 62:
		score, pass := decimal.New(int64(400+scramble(4, 600)), -1), decimal.New(75, 0)
		outcome := domain.OutcomeFailed
		if score.GreaterThanOrEqual(pass) {
			outcome = domain.OutcomePassed
		}
		subject.SubjectType, subject.Subject = domain.SubjectTest, strconv.Itoa(7000+course)
		return "acme-braincert", domain.LearningTested{
			Learner: learner, Subject: subject, TestedAt: mixEpoch.AddDate(0, 5, scramble(5, 4)), Score: &score, PassingScore: &pass, Outcome: outcome,
		}
	case kind < 76:
		line := scramble(6, m.lines)
		return "acme-tahdah", domain.CreditsReported{
			Line: strconv.Itoa(70_000 + line), Template: strconv.Itoa(300 + line%25), Order: "PO-" + strconv.Itoa(line),
			Remaining: decimal.New(int64(scramble(7, 200)), 0), Consumed: []domain.Consumption{{Description: sealed("c", person, 30)}},
		}
	case kind < 82:
		return "acme-braincert", m.sale(scramble(8, m.orders), learner)
	case kind < 90:
		order := scramble(9, m.orders)
		return "acme-braincert", domain.SalesPaid{Payment: domain.Payment{
			Transaction: "txn-" + strconv.Itoa(order), Order: "ORD" + strconv.Itoa(order), Amount: decimal.New(int64(1999+order%4000), -2), Currency: "GBP",
			Method: "card", ChargedAt: mixEpoch.Add(time.Duration(order) * time.Minute),
		}}
	case kind < 95:
		state := []string{domain.BadgePending, domain.BadgeAccepted}[scramble(10, 2)]
		issued := mixEpoch.Add(time.Duration(person) * time.Hour)
		badge := sha256.Sum256([]byte(enrolment))
		return "acme-credly", domain.BadgesReported{
			Badge: hex.EncodeToString(badge[:18]), Organization: "a0c1f2d4-7b3e-4c59-9d18-2f6b7e40c811", Template: "5d97ddd5-3fe4-5108-b69a-45e93a52" + strconv.Itoa(1000+course),
			TemplateName: "Rope Access Level " + strconv.Itoa(course), State: state, StateUpdatedAt: issued.Add(time.Duration(len(state)) * time.Hour),
			IssuedAt: issued, Public: true, Earner: "HR-" + strconv.Itoa(person), Name: learner.Name, Email: learner.Email,
		}
	case kind < 98:
		return "acme-tahdah", domain.TrustgroupsMemberChanged{
			Group: strconv.Itoa(1 + course), GroupName: "Rope access assessors", MemberType: domain.MemberCandidate, Member: "C-" + strconv.Itoa(person),
			Status: []string{"Active", "Suspended"}[scramble(11, 2)], From: mixEpoch, ChangedAt: at, Assumed: true,
		}
	}
	return "acme-thinkific", domain.DirectoryPersonSeen{
		PersonType: domain.PersonUser, Person: learner.Person, Name: learner.Name, Email: learner.Email, Organization: "48213",
		Roles: []string{"student"}, Groups: []string{"311", "312"}, Attributes: []domain.Attribute{{Name: "Employer", Value: sealed("a", person, 16)}}, Activity: "signin",
	}
}

func (m mix) sale(order int, buyer domain.Learner) domain.Event {
	total := decimal.New(int64(1999+order%4000), -2)
	return domain.SalesSold{
		Order: "ORD" + strconv.Itoa(order), Number: strconv.Itoa(20_000 + order), Total: total, Currency: "GBP", PaymentStatus: "pending", PaymentType: "one-time",
		Lines: []domain.SaleLine{{ItemType: "course", Item: strconv.Itoa(4000 + order%m.courses), Name: "Confined Spaces Entry", Quantity: decimal.New(1, 0), Price: total, Amount: total}},
		Buyer: domain.Buyer(buyer),
	}
}

// sealed returns a text that looks like a sealed one of n bytes, the same for the
// same person. Nothing that is measured opens it.
func sealed(what string, person, n int) domain.Personal {
	b := make([]byte, 0, 32+12+n+16+32)
	for block := uint64(0); len(b) < 32+12+n+16; block++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(fmt.Appendf(nil, "%s %d ", what, person), block))
		b = append(b, sum[:]...)
	}
	return domain.Personal("sealed.1." + base64.RawURLEncoding.EncodeToString(b[:32+12+n+16]))
}

// extend writes records of the mix to the end of a log that nobody else appends
// to, until it has n. Every record is made by [domain.Record]: its leaf and root
// are the right ones, so others can append after it. There are no deliveries.
func (m mix) extend(ctx context.Context, db *sql.DB, n int) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	var position int
	var last time.Time
	var hashes []byte
	if err := tx.QueryRowContext(ctx, `SELECT position, recorded_at, frontier FROM head FOR UPDATE`).Scan(&position, &last, &hashes); err != nil {
		return err
	}
	frontier, err := tree.Parse(int64(position), hashes)
	if err != nil {
		return err
	}
	copied, err := tx.PrepareContext(ctx, `COPY log (position, id, kind, source, occurred_at, recorded_at, delivery, test, data, personal, leaf, root) FROM STDIN`)
	if err != nil {
		return err
	}
	var bytes []byte
	for i := position; i < n; i++ {
		r, err := m.record(i)
		if err != nil {
			return err
		}
		if r.RecordedAt.Before(last) { // others have appended since
			r.RecordedAt = last.UTC()
		}
		bytes = r.AppendBytes(bytes[:0])
		leaf := tree.Leaf(bytes)
		frontier.Append(leaf)
		root := frontier.Root()
		last = r.RecordedAt
		var personal any
		if r.Personal != nil {
			personal = string(r.Personal)
		}
		if _, err := copied.ExecContext(ctx, r.Position, r.ID.String(), string(r.Kind), r.Source, r.OccurredAt, r.RecordedAt, r.Delivery.String(), r.Test, string(r.Data), personal, leaf[:], root[:]); err != nil {
			return err
		}
	}
	if _, err := copied.ExecContext(ctx); err != nil {
		return err
	}
	if err := copied.Close(); err != nil { //nolint:sqlclosecheck // else the end of the transaction closes it
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE head SET position = $1, recorded_at = $2, frontier = $3 WHERE position < $1`, n, last, frontier.Bytes()); err != nil {
		return err
	}
	return tx.Commit()
}

// record returns the record of the i-th event.
func (m mix) record(i int) (*domain.Record, error) {
	source, e := m.event(i)
	data, personal, err := domain.Encode(e)
	if err != nil {
		return nil, err
	}
	at := mixEpoch.Add(time.Duration(i) * 7 * time.Second)
	var id, delivery ulid.ULID
	binary.BigEndian.PutUint64(id[8:], uint64(2*i+1))       //nolint:gosec // no event has a number below 0
	binary.BigEndian.PutUint64(delivery[8:], uint64(2*i+2)) //nolint:gosec // as above
	if err := errors.Join(id.SetTime(ulid.Timestamp(at)), delivery.SetTime(ulid.Timestamp(at))); err != nil {
		return nil, err
	}
	return &domain.Record{
		Position: int64(i + 1), ID: id, Kind: e.Kind(), Source: source, OccurredAt: at, RecordedAt: at.Add(time.Second), Delivery: delivery,
		Data: data, Personal: personal,
	}, nil
}
