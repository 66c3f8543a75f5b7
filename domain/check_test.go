package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

func TestCheckDecimal(t *testing.T) {
	nines := strings.Repeat("9", domain.MaxDigits)
	for _, tt := range []struct {
		d    decimal.Decimal
		want string
	}{
		{decimal.Decimal{}, ""},
		{number("-0.1"), ""},
		{number(nines), ""},
		{number("-" + nines), ""},
		{number(nines + "9"), "has more than 38 digits"},
		{number("0.000000000000000001"), ""},
		{number("0.0000000000000000001"), "has more than 18 digits behind the point"},
		{number("1.5000000000000000000"), ""}, // zeros behind the last digit say nothing
		{number(nines[:20] + ".123456789012345678"), ""},
		{number(nines[:21] + ".123456789012345678"), "has more than 38 digits"},
		{decimal.New(1, 37), ""},
		{decimal.New(1, 38), "has more than 38 digits"},
		{decimal.New(10, 37), "has more than 38 digits"},
		// Written out, these fill the memory.
		{decimal.New(1, 1_000_000), "has more than 38 digits"},
		{decimal.New(1, 1<<31-1), "has more than 38 digits"},
		{decimal.New(1, -1_000_000), "has more than 18 digits behind the point"},
		{decimal.New(1, -1<<31), "has more than 18 digits behind the point"},
	} {
		err := domain.CheckDecimal(tt.d)
		if got := ""; err != nil {
			got = err.Error()
			if got != tt.want {
				t.Errorf("exponent %d: %q, want %q", tt.d.Exponent(), got, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("exponent %d: accepted, want %q", tt.d.Exponent(), tt.want)
		}
	}
}

// TestValidateNamesTheField changes one thing in a valid event at a time.
func TestValidateNamesTheField(t *testing.T) {
	long := strings.Repeat("x", domain.MaxIDBytes+1)
	huge := domain.Personal(strings.Repeat("x", domain.MaxTextBytes+1))
	for _, tt := range []struct {
		event domain.Event
		want  string
	}{
		{reported(func(e *domain.CreditsReported) {}), ""},
		{reported(func(e *domain.CreditsReported) { e.Line = "" }), "line is missing"},
		{reported(func(e *domain.CreditsReported) { e.Line = long[1:] }), ""},
		{reported(func(e *domain.CreditsReported) { e.Line = long }), "line has 256 bytes"},
		{reported(func(e *domain.CreditsReported) { e.Line = "7\n" }), "line has a control character"},
		{reported(func(e *domain.CreditsReported) { e.Line = "\x00" }), "line has a control character"},
		{reported(func(e *domain.CreditsReported) { e.Line = "7\u0085" }), "line has a control character"},
		{reported(func(e *domain.CreditsReported) { e.Line = "7\x7f" }), "line has a control character"},
		{reported(func(e *domain.CreditsReported) { e.Line = "7\xff" }), "line is not UTF-8"},
		{reported(func(e *domain.CreditsReported) { e.Order = "a\tb" }), "order has a control character"},
		{reported(func(e *domain.CreditsReported) { e.Remaining = number("-1") }), "remaining is negative"},
		{reported(func(e *domain.CreditsReported) { e.Remaining = number("0.5") }), "remaining is not a whole number"},
		{reported(func(e *domain.CreditsReported) { e.Remaining = number("14.000") }), ""},
		{reported(func(e *domain.CreditsReported) { e.Remaining = decimal.New(1, 1_000_000) }), "remaining has more than 38 digits"},
		{reported(func(e *domain.CreditsReported) { e.Consumed[0].Description = "two\nlines" }), ""},
		{reported(func(e *domain.CreditsReported) { e.Consumed[0].Description = "a\x00b" }), "consumed/0/description has a NUL"},
		{reported(func(e *domain.CreditsReported) { e.Consumed[0].Description = "\xff" }), "consumed/0/description is not UTF-8"},
		{reported(func(e *domain.CreditsReported) { e.Consumed[0].Description = huge[1:] }), ""},
		{reported(func(e *domain.CreditsReported) { e.Consumed[0].Description = huge }), "consumed/0/description has 65537 bytes"},
		{domain.DirectoryGroupSeen{Group: "1", Name: "a\x00b"}, "name has a NUL"},
		{domain.DirectoryGroupSeen{Group: "1", Name: long}, ""},
		{domain.DirectoryGroupListed{Name: "a"}, "group is missing"},
		{domain.DirectoryPersonSeen{PersonType: "User", Person: "1"}, `person_type is none of user, candidate`},
		{domain.DirectoryPersonSeen{PersonType: "user", Person: "1", Roles: []string{"a", ""}}, "roles/1 is missing"},
		{domain.BadgesDeleted{Badge: "b", DeletedAt: at("2026-03-01T09:00:00Z").Add(1)}, "deleted_at is not in UTC and whole microseconds"},
		{domain.BadgesDeleted{Badge: "b", DeletedAt: at("2026-03-01T09:00:00Z").In(time.FixedZone("", 3600))}, "deleted_at is not in UTC"},
		{domain.BadgesDeleted{Badge: "b", DeletedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "deleted_at has the year 10000"},
		{domain.BadgesDeleted{Badge: "b", DeletedAt: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)}, "deleted_at has the year 0"},
		{domain.SalesSold{Order: "1", Currency: "usd"}, "currency is not in its normal form"},
		{domain.SalesSold{Order: "1", Lines: []domain.SaleLine{{}, {Amount: decimal.New(1, 99)}}}, "lines/1/amount has more than 38 digits"},
		{domain.SalesSold{Order: "1", Flags: []string{""}}, "flags is missing"},
		{domain.CreditsGranted{Order: "1", Template: "1", Quantity: number("1"), UnitPrice: number("5"), By: "me"}, "currency is missing beside a unit price"},
		{domain.CreditsGrantRequested{CreditsGranted: domain.CreditsGranted{Order: "1", Template: "1", By: "me"}}, "quantity is not positive"},
		{domain.CreditsGrantRequested{CreditsGranted: domain.CreditsGranted{Order: "1", Template: "1", Quantity: number("1"), Holder: "1", By: "me"}, Key: "k"}, "reference is missing"},
		{domain.CreditsGrantRequested{CreditsGranted: domain.CreditsGranted{Order: "1", Template: "1", Quantity: number("1"), Reference: "r", By: "me"}, Key: "k"}, "holder is missing"},
		{domain.CreditsGrantRequested{CreditsGranted: domain.CreditsGranted{Order: "1", Template: "1", Quantity: number("1"), Holder: "1", Reference: "r", By: "me"}}, "key is missing"},
		{domain.LogForked{Epoch: 1}, "epoch is 1, below 2"},
		{domain.LogForked{Epoch: 2}, "checkpoint is not a checkpoint"},
		{domain.LogForked{Epoch: 2, Checkpoint: lostCheckpoint, Size: -1}, "size is negative"},
		{domain.LogForked{Epoch: 2, Checkpoint: lostCheckpoint, Root: "AAAA"}, "root is not a SHA-256 in base64"},
		{domain.CreditsGrantAnswered{Reference: "r", Outcome: "granted", Reason: "x"}, `outcome is none of refused, unknown`},
		{domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantRefused, Status: 42, Reason: "x"}, "status is 42"},
		{domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantRefused, Status: 400}, "reason is missing"},
		{domain.SalesListed{Order: "1", Currency: "usd"}, "currency is not in its normal form"},
		{domain.TrustgroupsMemberListed{Group: "1", Member: "2", Status: "Active"}, "member_type is"},
		{domain.DirectoryOrganizationListed{}, "name is missing"},
		{listed("", "", ""), "enrolment is missing"},
		{listed("1", "0.5", ""), "scale does not go with the percentage"},
		{listed("1", "", domain.ScaleFraction), "scale does not go with the percentage"},
		{listed("1", "0.5", "half"), "scale is none of percent"},
		{domain.BadgesListed{Employment: "1"}, "listed_at is missing"},
		{domain.BadgesListed{ListedAt: at("2026-03-20T10:00:00Z")}, "employment is missing"},
		{badgesListed(domain.ListedBadge{Template: "t", State: "accepted"}), "badges/0/badge is missing"},
		{badgesListed(domain.ListedBadge{Badge: "b", State: "accepted"}), "badges/0/template is missing"},
		{badgesListed(domain.ListedBadge{Badge: "b", Template: "t"}), "badges/0/state is missing"},
		{domain.SalesPaid{Payment: domain.Payment{Transaction: "1", Order: "1", Amount: number("-1")}}, "amount is negative"},
		{domain.LearningCompleted{
			Learner: domain.Learner{Person: "1"}, Subject: domain.Subject{SubjectType: domain.SubjectCourse, Subject: "1"},
			CompletedAt: at("2026-03-01T09:00:00Z"), Certificate: domain.Certificate{State: domain.CertificateIssued, Expiry: domain.ExpiryOn},
		}, "certificate/expires_at does not go with the expiry"},
	} {
		err := tt.event.Validate()
		if err == nil && tt.want == "" {
			continue
		}
		if _, ok := errors.AsType[*domain.FieldError](err); !ok || tt.want == "" || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.200v: %v, want %q", tt.event, err, tt.want)
		}
	}
}

func reported(change func(*domain.CreditsReported)) domain.CreditsReported {
	e := domain.CreditsReported{
		Line: "70412", Template: "318", Remaining: number("14"), Consumed: []domain.Consumption{{Description: "exam"}},
	}
	change(&e)
	return e
}

// TestNoReasonIsTooLong: a reason becomes part of a quarantine event, whatever
// the value was that it quotes.
func TestNoReasonIsTooLong(t *testing.T) {
	err := (domain.DirectoryItemRemoved{ItemType: strings.Repeat("\U0010ffff", 100), Item: "1"}).Validate()
	field, ok := errors.AsType[*domain.FieldError](err)
	if !ok {
		t.Fatal(err)
	}
	if err := (domain.IntakeQuarantined{Reason: field.Reason, Field: field.Field}).Validate(); err != nil {
		t.Errorf("%q cannot be recorded: %v", field.Reason, err)
	}
}

func TestExponent(t *testing.T) {
	for currency, want := range map[string]int32{"USD": 2, "JPY": 0, "KWD": 3, "CLF": 4} {
		if got, known := domain.Exponent(currency); got != want || !known {
			t.Errorf("Exponent(%s) = %d, %v; want %d", currency, got, known, want)
		}
	}
	for _, currency := range []string{"", "usd", "GBX", "D A", "POINTS", "USD EUR"} {
		if got, known := domain.Exponent(currency); got != 2 || known {
			t.Errorf("Exponent(%q) = %d, %v; want unknown", currency, got, known)
		}
	}
	if got := domain.NormalCurrency(" uSd\n"); got != "USD" {
		t.Errorf("NormalCurrency = %q", got)
	}
}

func listed(enrolment, reported, scale string) domain.Event {
	return domain.LearningListed{
		Learner: domain.Learner{Person: "1"}, Subject: domain.Subject{SubjectType: domain.SubjectCourse, Subject: "2"},
		Enrolment: enrolment, Reported: reported, Scale: scale,
	}
}

func badgesListed(b domain.ListedBadge) domain.Event {
	return domain.BadgesListed{Employment: "1", ListedAt: at("2026-03-20T10:00:00Z"), Badges: []domain.ListedBadge{b}}
}
