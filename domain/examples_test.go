package domain_test

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// examples returns an event of every kind with every field set. They were
// written to testdata/events once; the files are what counts.
func examples() []domain.Event {
	var (
		learner = domain.Learner{Person: "789310", Name: "Amina Yusuf", Email: "amina.yusuf@example.com"}
		course  = domain.Subject{SubjectType: domain.SubjectCourse, Subject: "909120", SubjectName: "Track Safety <Foundation> & more"}
		payment = domain.Payment{
			Transaction: "5521", Order: "20043", Amount: number("49.50"), Currency: "USD", Method: "paypal",
			OrderTotal: number("99"), ChargedAt: at("2026-03-12T16:51:02.5Z"), Flags: []string{"unit-unknown"},
			By: "finance@example.com", Reason: "entered by hand",
		}
	)
	return []domain.Event{
		domain.CreditsReported{
			Line: "70412", Template: "318", Order: "PO-5512", Remaining: number("14"),
			Consumed: []domain.Consumption{{Description: "Foundation exam, Lena Fischer"}, {Description: "Resit"}},
		},
		domain.CreditsGranted{
			Order: "PO-5512", Template: "318", Quantity: number("20"), Holder: "4411", UnitPrice: number("12.50"),
			Currency: "GBP", ExpiresAt: at("2027-03-31T23:59:59.999999Z"), Reference: "INV-1", Reason: "framework order", By: "import",
		},
		domain.CreditsGrantRequested{
			CreditsGranted: domain.CreditsGranted{
				Order: "PO-5512", Template: "318", Quantity: number("20"), Holder: "4411", UnitPrice: number("12.50"),
				Currency: "GBP", ExpiresAt: at("2027-03-31T23:59:59.999999Z"), Reference: "INV-1", Reason: "framework order", By: "marta",
			},
			Key: "7c9e6679-7425-8de9-944b-e07fc1f90ae7",
		},
		domain.PrivacyErased{
			Erasure:    "01KHV3Q0000000000000000002",
			Identities: []domain.Identity{{Source: "acme-thinkific", Type: "user", ID: "789310"}, {Source: "acme-tahdah", Type: "candidate", ID: "C-1001"}},
			Keys:       []string{"qgWG/2P1ATzIEbO8ofr/G/lmNkxh0GCxM7mM9xydPRI="}, Deliveries: 1, Epoch: 1,
			Basis: "GDPR Art. 17(1)(b), request R-17", By: "dpo",
		},
		domain.PrivacyKept{
			Identities: []domain.Identity{{Source: "acme-thinkific", Type: "user", ID: "789310"}},
			Basis:      "GDPR Art. 17(3)(b), invoices are kept for ten years", By: "dpo",
		},
		domain.CreditsGrantAnswered{Reference: "INV-1", Outcome: domain.GrantUnknown, Status: 504, Reason: "504 Gateway Timeout"},
		domain.CreditsAdjusted{
			Line: "70412", Template: "318", Quantity: number("-1"), Reference: "T-9", Reason: "given back by telephone", By: "ops@example.com",
		},
		sold(),
		domain.SalesListed(sold()),
		domain.SalesPaid{Payment: payment},
		domain.SalesPaymentFailed{Payment: payment},
		domain.SalesRefunded{Payment: payment},
		domain.SalesSubscriptionChanged{
			Subscription: "8123", Status: "cancelled", Person: "789310", Amount: number("4900"), Interval: "month",
			StartedAt: at("2026-01-01T00:00:00Z"), CancelledAt: at("2026-03-01T08:00:00Z"), EndsAt: at("2026-04-01T00:00:00Z"),
		},
		entryPosted(),
		memberChanged(),
		domain.TrustgroupsMemberListed(memberChanged()),
		domain.LearningEnrolled{
			Learner: learner, Subject: course, Enrolment: "97511", EnrolledAt: at("2026-02-20T22:16:52.255Z"),
			StartedAt: at("2026-02-20T22:17:01.891Z"), AccessUntil: at("2027-02-20T00:00:00Z"), Trial: true,
		},
		domain.LearningProgressed{
			Learner: learner, Subject: course, Enrolment: "97511", Reported: "0.24", Scale: domain.ScaleFraction,
			Activity: "lesson/24220", StartedAt: at("2026-02-20T22:17:01.891Z"),
		},
		domain.LearningCompleted{
			Learner: learner, Subject: course, Enrolment: "97511", CompletedAt: at("2026-03-10T12:00:00Z"),
			Certificate: domain.Certificate{
				State: domain.CertificateIssued, ID: "cert-9", URL: "https://example.com/certificates/9",
				Expiry: domain.ExpiryOn, ExpiresAt: at("2028-03-10T23:59:59.999999Z"),
			},
		},
		domain.LearningTested{
			Learner: learner, Subject: domain.Subject{SubjectType: domain.SubjectTest, Subject: "771034", SubjectName: "Track Safety Exam"},
			TestedAt: at("2026-03-09T21:02:50Z"), Score: new(number("84.5")), PassingScore: new(number("75")),
			Outcome: domain.OutcomePassed, Attempt: "2",
		},
		domain.LearningListed{
			Learner: learner, Subject: course, Enrolment: "97511", ListedAt: at("2026-03-20T08:00:00Z"), EnrolledAt: at("2026-02-20T22:16:52.255Z"),
			StartedAt: at("2026-02-20T22:17:01.891Z"), AccessUntil: at("2027-02-20T00:00:00Z"), Trial: true,
			Reported: "0.24", Scale: domain.ScaleFraction, CompletedAt: at("2026-03-10T12:00:00Z"),
		},
		domain.BadgesNoticed{
			Notice: "6e6c1093-d3b3-572d-bd66-633ef8ef0e15", Organization: "a0c1f2d4-7b3e-4c59-9d18-2f6b7e40c811",
			EventType: "badge.state.changed", NoticedAt: at("2026-03-01T14:41:00Z"),
		},
		domain.BadgesReported{
			Badge: "43b75a40-8691-541d-8a9c-d20cedceb5e9", Organization: "a0c1f2d4-7b3e-4c59-9d18-2f6b7e40c811",
			Template: "5d97ddd5-3fe4-5108-b69a-45e93a52a5ba", TemplateName: "Rope Access Level 1", State: domain.BadgeReplaced,
			StateUpdatedAt: at("2026-03-20T10:00:00Z"), IssuedAt: at("2026-03-01T14:41:00Z"), ExpiresAt: at("2029-03-01T00:00:00Z"),
			Public: true, Replaces: "c0ffee00-0000-5000-8000-000000000001", ReplacedBy: "91feb0c0-615a-5396-ab11-bfd7b2ad4c63",
			Reason: "Issued to the wrong person", Earner: "HR-00871", User: "0d0e6eef-2e6e-537d-8dc7-e02202d2012a",
			Name: "Lena Maria Fischer", Email: "lena.fischer@example.com",
		},
		domain.BadgesListed{
			Employment: "04946ca5-c91f-534c-96f7-a80a054aeb16", Organization: "a0c1f2d4-7b3e-4c59-9d18-2f6b7e40c811",
			External: "HR-00871", ListedAt: at("2026-03-20T10:00:00Z"), Whole: true,
			Badges: []domain.ListedBadge{{
				Badge: "4a3b4dff-0000-5000-8000-000000000001", Visible: true, Template: "5d97ddd5-3fe4-5108-b69a-45e93a52a5ba",
				TemplateName: "Rope Access Level 1", State: domain.BadgeAccepted, IssuedAt: at("2026-03-01T14:41:00Z"),
				ExpiresAt: at("2029-03-01T00:00:00Z"), Public: true,
			}},
		},
		domain.BadgesDeleted{Badge: "43b75a40-8691-541d-8a9c-d20cedceb5e9", DeletedAt: at("2026-03-21T10:00:00Z")},
		domain.BadgesUnverified{Notice: "6e6c1093-d3b3-572d-bd66-633ef8ef0e15", Reason: "not found at Credly for an hour"},
		domain.DirectoryPersonSeen{
			PersonType: domain.PersonUser, Person: "789310", Name: "Amina Yusuf", Email: "amina.yusuf@example.com",
			Organization: "48213", Roles: []string{"Student"}, Groups: []string{"311", "312"},
			Attributes: []domain.Attribute{{Name: "Employer", Value: "Ardent Rail Ltd"}}, Activity: "signup",
		},
		domain.DirectoryPersonRemoved{PersonType: domain.PersonUser, Person: "789310"},
		organizationSeen(),
		domain.DirectoryOrganizationListed(organizationSeen()),
		domain.DirectoryItemSeen{
			ItemType: domain.ItemProduct, Item: "VEST-OR-2", Name: "Hi-vis vest", Slug: "https://ardent.example.com/product/hi-vis-vest",
			Status: "published", Price: "14.50", Activity: "created",
		},
		domain.DirectoryItemRemoved{ItemType: domain.ItemCourse, Item: "909120"},
		domain.DirectoryGroupSeen{Group: "304120", Name: "Rail Safety 2026", Description: "Learners booked on the 2026 programme"},
		domain.DirectoryGroupListed{Group: "304120", Name: "Rail Safety 2026", Description: "Learners booked on the 2026 programme"},
		domain.DirectoryEmploymentChanged{
			Employment: "04946ca5-c91f-534c-96f7-a80a054aeb16", External: "HR-00871", State: "accepted",
			Activity: "connection.accepted", Name: "Lena Fischer", Email: "lena.fischer@example.com",
		},
		domain.IntakeUnrecognized{Topic: "eventCredits.Archived", Reason: "unknown topic"},
		domain.IntakeQuarantined{Topic: "Course Completed", Reason: "is missing", Field: "payload/user/id"},
		domain.LogForked{
			Epoch: 2, Checkpoint: lostCheckpoint, Size: 20852014, Root: "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=",
			Reason: "restored the backup of 1 March", By: "marta",
		},
	}
}

// lostCheckpoint is a signed note; nobody knows the key.
const lostCheckpoint = `example.com/behind-the-sofa/1
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`

func memberChanged() domain.TrustgroupsMemberChanged {
	return domain.TrustgroupsMemberChanged{
		Group: "12", GroupName: "Rope access assessors", MemberType: domain.MemberCandidate, Member: "C-1001", Status: "Active",
		From: at("2026-01-01T00:00:00Z"), Until: at("2026-12-31T23:59:59Z"), ChangedAt: at("2026-01-01T09:00:00.123456Z"), Assumed: true,
	}
}

func organizationSeen() domain.DirectoryOrganizationSeen {
	return domain.DirectoryOrganizationSeen{
		Organization: "9001", Name: "Ardent Rail Ltd", TradingName: "Ardent", Town: "Leeds", Postcode: "LS1 4AP",
		VATNumber: "GB123456789", CharityNumber: "1098765", CurrencyCode: "1", Timezone: "UK/London",
		Website: "https://ardent.example.com", AddedAt: at("2026-01-05T09:30:00Z"), Description: "Track works",
		Email: "office@ardent.example.com", Address: "1 Station Road\nHolbeck",
	}
}

func sold() domain.SalesSold {
	return domain.SalesSold{
		Order: "ORD_qk7TZx2MbV", Number: "20043",
		Lines: []domain.SaleLine{{
			ItemType: "course", Item: "909120", Name: "Track Safety Foundation", Quantity: number("2"),
			Price: number("100"), Discount: number("20.05"), Amount: number("179.95"),
		}},
		Charges: number("1.20"), Discounts: number("20.05"), Total: number("181.15"), Currency: "USD", PaymentStatus: "paid",
		PaymentType: "one-time", Coupon: "SPRING", Flags: []string{"total-differs"},
		Buyer: domain.Buyer{Person: "789310", Name: "Amina Yusuf", Email: "amina.yusuf@example.com"},
	}
}

func entryPosted() domain.Event {
	return domain.SalesEntryPosted{
		Entry: "INV-77/1", Number: "INV-77", PurchaseOrder: "PO-5512", ItemType: "2",
		Beneficiary: domain.Party{ID: "9001", EntityType: "3", Name: "Ardent Rail Ltd"},
		Payer:       domain.Party{ID: "9002", EntityType: "1", Name: "Lena Fischer"},
		PostedBy:    domain.Party{ID: "7", EntityType: "1", Name: "Tomás Ibáñez"},
		Items: []domain.EntryItem{{
			ID: "1", Description: "Exam of Lena Fischer", TypeCode: "4", TypeName: "Exam fee", NominalCode: "4000",
			Quantity: number("3"), UnitCost: number("125"), Amount: number("375"), Tax: number("75"), TaxName: "VAT",
			SentAt: at("2026-03-02T08:00:00Z"), CancelledAt: at("2026-03-03T08:00:00Z"),
		}},
		Payments: []domain.EntryPayment{{
			ID: "81", Amount: number("450"), MethodCode: "2", StatusCode: "1", Reference: "BACS-1", AllocatedAt: at("2026-03-04T08:00:00Z"),
		}},
		PaymentReference: "REF-1", PaymentMethodCode: "2", PaymentStatusCode: "1", Debit: number("450.30000000000000004"),
		Credit: number("-0.1"), Currency: "GBP", CreatedAt: at("2026-03-01T09:00:00Z"), DueAt: at("2026-03-31T00:00:00Z"),
		PostingAt: at("2026-03-01T00:00:00Z"), Description: "Invoice for Lena Fischer",
	}
}

func number(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}
