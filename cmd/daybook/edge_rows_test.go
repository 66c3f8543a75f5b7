package main

import "github.com/daybook-ledger/daybook/domain"

// edges says of every row of the notes on the difficult samples what has to
// become of it. The words beside each are the notes'.
var edges = map[string]edge{
	// Levels of event credits.

	// "first delivery: balance 14"
	"tahdah_credits_redelivery_a.json": {
		source: "redelivery", status: domain.Accepted, kinds: "credits.reported",
		facts: map[string]string{"/0/line": "70412", "/0/remaining": "14"},
		views: map[string]string{
			"credits/balances: line template order remaining claim": "70412 318 SO-2026-004417 14 agrees",
			"credits/entries: account quantity":                     "available 15; opening -15; available -1; consumed 1",
		},
	},
	// "accepted with 200, no new effect, balance stays 14"
	"tahdah_credits_redelivery_b.json": {
		source: "redelivery", status: domain.Duplicate, kinds: "credits.reported",
		views: map[string]string{
			"credits/balances: line remaining consumed": "70412 14 1",
			"credits/entries: account quantity":         "available 15; opening -15; available -1; consumed 1",
			"log/records: kind":                         "credits.reported.v1",
		},
	},
	// "1 of 3: balance 14"
	"tahdah_credits_sawtooth_1_14.json": {
		source: "sawtooth", status: domain.Accepted, kinds: "credits.reported",
		views: map[string]string{"credits/balances: line remaining": "70412 14"},
	},
	// "2 of 3: credit handed back, balance 15"
	"tahdah_credits_sawtooth_2_15.json": {
		source: "sawtooth", status: domain.Accepted, kinds: "credits.reported",
		views: map[string]string{"credits/balances: line remaining claim": "70412 15 agrees"},
	},
	// "same bytes as step 1 but a NEW fact: balance must be 14"
	"tahdah_credits_sawtooth_3_14.json": {
		source: "sawtooth", status: domain.Accepted, kinds: "credits.reported",
		views: map[string]string{
			"credits/balances: line remaining claim": "70412 14 agrees",
			"log/records: kind":                      "credits.reported.v1; credits.reported.v1; credits.reported.v1",
		},
	},
	// "one delivery, two credit lines: both or neither are stored; line 70412 -> 13,
	// line 70413 -> 2"
	"tahdah_credits_two_templates.json": {
		status: domain.Accepted, kinds: "credits.reported credits.reported",
		views: map[string]string{"credits/balances: line template remaining": "70412 318 13; 70413 319 2"},
	},
	// "balance went up with nothing consumed: … never an error"
	"tahdah_credits_refund_up.json": {
		status: domain.Accepted, kinds: "credits.reported",
		views: map[string]string{"credits/balances: line remaining claim": "70412 20 agrees"},
	},
	// "record, quarantine, alert; do not clamp silently"
	"tahdah_credits_negative_and_fraction.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "0/quantityRemaining is negative", views: nothing,
	},
	// "valid and empty: 200, delivery recorded, no domain event"
	"tahdah_credits_empty_array.json": {
		status: domain.Unrecognized, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/reason": "empty"}, views: nothing,
	},
	// "body starts with a UTF-8 byte order mark": both signatures verify, see
	// TestVerifyByteOrderMark in adapters/tahdah.
	"tahdah_credits_bom.json": {
		status: domain.Accepted, kinds: "credits.reported", flags: "byte-order-mark",
		views: map[string]string{"credits/balances: line remaining": "70412 8"},
	},
	// "verb not in the catalogue: verified signature -> recorded as unknown, 200"
	"tahdah_unknown_verb.json": {
		status: domain.Unrecognized, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/topic": "eventCredits.Archived", "/0/reason": "unknown topic"}, views: nothing,
	},

	// Tahdah's ledger.

	// "0.1 + 0.2 must equal 0.3 exactly: decimal arithmetic, no discrepancy flagged"
	"tahdah_ledger_point1_plus_point2.json": {
		status: domain.Accepted, kinds: "sales.entry-posted",
		facts: map[string]string{"/0/debit": "0.3", "/0/items/0/amount": "0.1", "/0/items/1/amount": "0.2"},
		views: map[string]string{
			"sales/orders: order currency total outstanding flags": "INV-100233 GBP 0.3 0.3 ",
			"sales/entries: account currency amount":               "receivable GBP 0.3; sales GBP -0.3",
		},
	},
	// "keep the text as sent, compare after rounding to the currency exponent"
	"tahdah_ledger_float_noise.json": {
		status: domain.Accepted, kinds: "sales.entry-posted",
		facts: map[string]string{"/0/debit": "0.30000000000000004"},
		views: map[string]string{"sales/orders: order currency total flags": "INV-100233 GBP 0.30000000000000004 "},
	},
	// "the delivery must end in quarantine with 200, not in a retry loop"
	"tahdah_ledger_huge_exponent.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "debit is not a number", views: nothing,
	},
	// "items 375 + tax 75 = 450 but debit 451: book 451 as sent, raise a discrepancy"
	"tahdah_ledger_items_mismatch.json": {
		status: domain.Accepted, kinds: "sales.entry-posted",
		facts: map[string]string{"/0/debit": "451", "/0/items/0/amount": "375", "/0/items/0/tax": "75"},
		views: map[string]string{"sales/orders: order currency total flags": "INV-100233 GBP 451 items-differ"},
	},
	// "negative debit (credit note): signed amounts are legal"
	"tahdah_ledger_negative_debit.json": {
		status: domain.Accepted, kinds: "sales.entry-posted",
		facts: map[string]string{"/0/debit": "-450"},
		views: map[string]string{
			"sales/orders: order currency total status flags": "CN-100021 GBP -450 credit-note ",
			"sales/entries: account currency amount":          "receivable GBP -450; sales GBP 450",
		},
	},
	// "keep in its own currency bucket, never add to another"
	"tahdah_ledger_non_iso_currency.json": {
		status: domain.Accepted, kinds: "sales.entry-posted",
		views: map[string]string{
			"sales/orders: order currency total flags": "INV-100233 TOKENS 450 non-iso-currency",
			"sales/entries: account currency amount":   "receivable TOKENS 450; sales TOKENS -450",
		},
	},
	// "no currency, no invoice number: quarantine; never default to GBP"
	"tahdah_ledger_missing_currency_and_number.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "currency/isoCode is missing", views: nothing,
	},
	// "stored unchanged; UK/London is not an IANA zone"
	"tahdah_legal_entity_unicode.json": {
		status: domain.Accepted, kinds: "directory.organization-seen",
		facts: map[string]string{
			"/0/name": "Ο Ναυτικός Όμιλος Άνδρου 🚤", "/0/trading_name": "Łódź & Świnoujście «Żagle» O'Brien",
			"/0/town": "Ísafjörður", "/0/description": "مركز تدريب — 训练中心", "/0/email": "info@xn--bcher-kva.example",
			"/0/timezone": "UK/London",
		},
		views: map[string]string{
			"directory/organizations: name trading_name town timezone": "Ο Ναυτικός Όμιλος Άνδρου 🚤 Łódź & Świnoujście «Żagle» O'Brien Ísafjörður UK/London",
		},
	},

	// BrainCert.

	// "book total as sent, raise a discrepancy of 5"
	"braincert_sale_totals_mismatch.json": {
		status: domain.Accepted, kinds: "sales.sold",
		facts: map[string]string{"/0/total": "175", "/0/flags": `["total-differs"]`},
		views: map[string]string{
			"sales/orders: order currency total flags": "ORD_qk7TZx2MbV USD 175 items-differ,total-differs",
			"sales/entries: account currency amount": "receivable USD 175; sales USD -180; suspense USD 5; " +
				"cash USD 175; receivable USD -175",
		},
	},
	// "currency -> USD; the comma form is ambiguous -> quarantine unless configured"
	"braincert_sale_strings_mixed_case.json": {
		status: domain.Quarantined, kinds: "intake.quarantined",
		reason: `payload/items/0/item_total is not a plain number`, views: nothing,
	},
	// "body of the Send Test button: placeholder words for values; mark as test, no
	// domain event"
	"braincert_send_test_placeholders.json": {
		status: domain.Unrecognized, test: true, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/reason": "test"}, views: nothing,
	},
	// "Send Test placeholders in enumerations: mark as test"
	"braincert_send_test_test_completed.json": {
		status: domain.Accepted, test: true, kinds: "learning.tested", flags: "scoring-unknown", views: nothing,
	},
	// "domain_id holds a person name as in the published samples: the endpoint decides
	// the tenant"
	"braincert_domain_is_a_name.json": {
		status: domain.Accepted, kinds: "learning.completed",
		views: map[string]string{
			"certifications/status: source person subject_type subject status expires_at": "braincert_domain_is_a_name 789310 course 909120 completed 2028-03-10T12:00:00Z",
			"directory/people: person name":                                               "789310 Amina Yusuf",
		},
	},
	// "no event id, no user id, masked e-mail: not attributable -> quarantine; never
	// merge people on a masked address"
	"braincert_masked_email_no_ids.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", flags: "bad-email",
		reason: "payload/user/id is missing", views: nothing,
	},
	// "resource+action not in the catalogue: recorded as unknown, 200"
	"braincert_unknown_resource.json": {
		status: domain.Unrecognized, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/topic": "subscription renewed", "/0/reason": "unknown topic"}, views: nothing,
	},
	// "a document type is never needed: reject or quarantine, expand nothing"
	"braincert_xxe.xml": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "body ", views: nothing,
	},

	// Thinkific.

	// "recorded as test, no domain event, although completed_at is filled and the
	// dates are 2014"
	"thinkific_test_mode_created.json": {
		status: domain.Accepted, test: true, kinds: "learning.enrolled", flags: "bad-email", views: nothing,
	},
	// "[TEST] completion: never certify anyone"
	"thinkific_test_mode_completed.json": {
		status: domain.Accepted, test: true, kinds: "learning.completed", flags: "bad-email", views: nothing,
	},
	// "undecidable; keep raw, scale unknown, no completion"
	"thinkific_percentage_one.json": {
		status: domain.Accepted, kinds: "learning.progressed",
		facts: map[string]string{"/0/reported": "1", "/0/scale": "unknown"},
		views: map[string]string{"certifications/status: person subject status progress scale completed_at": "123987 4410 in-progress 1 unknown "},
	},
	// "percent scale"
	"thinkific_percentage_hundred.json": {
		status: domain.Accepted, kinds: "learning.progressed",
		facts: map[string]string{"/0/reported": "100.0", "/0/scale": "percent"},
		views: map[string]string{"certifications/status: person subject status progress scale completed_at": "123987 4410 in-progress 100.0 percent "},
	},
	// "null: unknown, not zero"
	"thinkific_percentage_null.json": {
		status: domain.Accepted, kinds: "learning.progressed",
		facts: map[string]string{"/0/reported": "", "/0/scale": "unknown"},
		views: map[string]string{"certifications/status: person subject status progress": "123987 4410 in-progress "},
	},
	// "a zero order: recorded, no sale value"
	"thinkific_order_free.json": {
		status: domain.Accepted, kinds: "sales.sold",
		facts: map[string]string{"/0/total": "0"},
		views: map[string]string{
			"sales/orders: order currency total outstanding status flags": "19801 USD 0 0 free ",
			"sales/entries: account": "",
		},
	},
	// "top-level product null, amount_dollars a string, items 110 but order 120: book
	// 120, flag 10"
	"thinkific_order_multi_item_mismatch.json": {
		status: domain.Accepted, kinds: "sales.sold",
		facts: map[string]string{"/0/total": "120", "/0/lines/0/amount": "50", "/0/lines/1/amount": "60"},
		views: map[string]string{
			"sales/orders: order currency total status flags": "19802 USD 120 open items-differ",
			"sales/entries: account currency amount":          "receivable USD 120; sales USD -110; suspense USD -10",
		},
	},
	// "cents win, flag"
	"thinkific_order_dollars_cents_disagree.json": {
		status: domain.Accepted, kinds: "sales.sold", flags: "dollars-and-cents-disagree",
		facts: map[string]string{"/0/total": "50"},
		views: map[string]string{"sales/orders: order currency total flags": "19796 USD 50 dollars-and-cents-disagree"},
	},
	// "unknown topic: recorded, 200"
	"thinkific_unknown_topic.json": {
		status: domain.Unrecognized, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/topic": "certificate.issued", "/0/reason": "unknown topic"}, views: nothing,
	},
	// "no payload: signature good, quarantine, 200"
	"thinkific_missing_payload.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "payload is missing", views: nothing,
	},
	// "duplicate member names: Go keeps the last; record the raw bytes so an auditor
	// can see both"
	"thinkific_duplicate_json_keys.json": {
		status: domain.Accepted, kinds: "learning.completed", flags: "duplicate-member",
		views: map[string]string{"certifications/status: person subject status completed_at": "123987 4410 completed 2026-03-01T14:17:01.924Z"},
	},

	// Credly.

	// "first delivery"
	"credly_redelivery_a.json": {
		source: "credly_redelivery", status: domain.Accepted, kinds: "badges.noticed",
		facts: map[string]string{"/0/event_type": "badge.created"},
	},
	// "retry of the same event id up to 25 days later: 200, no effect"
	"credly_redelivery_b.json": {
		source: "credly_redelivery", status: domain.Duplicate, kinds: "badges.noticed",
		views: map[string]string{"log/records: kind": "badges.noticed.v1"},
	},
	// "unknown event_type: recorded, 200, no enrichment needed"
	"credly_unknown_event_type.json": {
		status: domain.Unrecognized, kinds: "intake.unrecognized",
		facts: map[string]string{"/0/topic": "badge.endorsed", "/0/reason": "unknown topic"}, views: nothing,
	},
	// "event_type absent: fetch by id and take the type from the answer, or quarantine"
	"credly_missing_event_type.json": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "event_type is missing", views: nothing,
	},

	// "old badge replaced: not held any more, successor named; no revoke may follow"
	"credly_events_api_replaced.json": {
		status: domain.Accepted, kinds: "badges.reported",
		views: map[string]string{
			"certifications/status: person subject_type subject status replaced_by": "HR-00871 badge 43b75a40-8691-541d-8a9c-d20cedceb5e9 replaced 91feb0c0-615a-5396-ab11-bfd7b2ad4c63",
		},
	},
	// "revoked with a reason"
	"credly_events_api_revoked.json": {
		status: domain.Accepted, kinds: "badges.reported",
		views: map[string]string{
			"certifications/status: subject status reason clock": "43b75a40-8691-541d-8a9c-d20cedceb5e9 revoked Issued to the wrong person 2026-03-21T10:00:00Z",
		},
	},
	// "earner declined: issued but not held"
	"credly_events_api_rejected.json": {
		status: domain.Accepted, kinds: "badges.reported",
		views: map[string]string{
			"certifications/status: subject status issued_at": "43b75a40-8691-541d-8a9c-d20cedceb5e9 rejected 2026-03-01T14:41:00Z",
		},
	},
	// "expires_at null: never expires"
	"credly_events_api_never_expires.json": {
		status: domain.Accepted, kinds: "badges.reported",
		views: map[string]string{
			"certifications/status: subject status expiry expires_at": "2505c8ea-08f8-5eb5-86db-0f8f21e349bf pending never ",
		},
	},
	// "no badge object says which one changed: diff the list against what is known"
	"credly_events_api_state_changed_no_badge.json": {
		status: domain.Accepted, kinds: "directory.employment-changed badges.listed",
		facts: map[string]string{"/1/whole": "true", "/1/badges/0/state": "revoked", "/1/badges/1/state": "accepted"},
		views: map[string]string{
			"certifications/status: subject status":     "43b75a40-8691-541d-8a9c-d20cedceb5e9 revoked; 4a3b4dff-d2f7-5767-972f-12210aee935a accepted",
			"certifications/visibility: badge visible":  "43b75a40-8691-541d-8a9c-d20cedceb5e9 true; 4a3b4dff-d2f7-5767-972f-12210aee935a true",
			"certifications/history: subject what":      "43b75a40-8691-541d-8a9c-d20cedceb5e9 listed as revoked; 4a3b4dff-d2f7-5767-972f-12210aee935a listed as accepted",
			"directory/people: person_type person name": "employee 04946ca5-c91f-534c-96f7-a80a054aeb16 Lena Fischer",
		},
	},

	// Any provider.

	// "empty body, valid signature of the empty string: quarantine, no panic"
	"any_empty_body.bin": {
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "body is empty", views: nothing,
	},
	// "keep raw bytes (bytea), PostgreSQL text/jsonb refuses it"
	"any_invalid_utf8.json": {
		status: domain.Accepted, kinds: "directory.person-seen", flags: "invalid-utf8",
		facts: map[string]string{"/0/person": "1", "/0/name": "Andr\uFFFD", "/0/email": "andre@example.com"},
		views: map[string]string{"directory/people: person name email": "1 Andr\uFFFD andre@example.com"},
	},
}

// configured says of rows what becomes of them if the source is configured
// otherwise than the notes take for granted.
var configured = []struct {
	file, options string
	edge
}{
	// The comma is what the customer says it is.
	{"braincert_sale_strings_mixed_case.json", `thousands = ","`, edge{
		status: domain.Accepted, kinds: "sales.sold",
		facts: map[string]string{"/0/total": "1180", "/0/currency": "USD", "/0/lines/0/amount": "1100", "/0/lines/1/amount": "80"},
		views: map[string]string{"sales/orders: order currency total status flags": "ORD_qk7TZx2MbV USD 1180 paid "},
	}},
	{"braincert_sale_strings_mixed_case.json", `thousands = "."`, edge{
		status: domain.Quarantined, kinds: "intake.quarantined", reason: "payload/", views: nothing,
	}},

	// Tests count if they are to.
	{"thinkific_test_mode_created.json", "book_tests = true", edge{
		status: domain.Accepted, kinds: "learning.enrolled", flags: "bad-email",
		views: map[string]string{"certifications/status: person subject status": "94 68 enrolled"},
	}},
	{"thinkific_test_mode_completed.json", "book_tests = true", edge{
		status: domain.Accepted, kinds: "learning.completed", flags: "bad-email",
		views: map[string]string{"certifications/status: person subject status": "94 68 completed"},
	}},
	{"braincert_send_test_test_completed.json", "book_tests = true", edge{
		status: domain.Accepted, kinds: "learning.tested", flags: "scoring-unknown",
		views: map[string]string{"certifications/status: person subject_type subject status": "789310 test 771034 pending"},
	}},
	// A placeholder is no price and no key, whoever wants to see it.
	{"braincert_send_test_placeholders.json", "book_tests = true", edge{
		status: domain.Unrecognized, kinds: "intake.unrecognized", views: nothing,
	}},

	// An order in a currency that nobody named is in none.
	{"thinkific_order_multi_item_mismatch.json", `default_currency = ""`, edge{
		status: domain.Accepted, kinds: "sales.sold",
		views: map[string]string{
			"sales/orders: order currency total flags": "19802 unknown 120 currency-unknown,items-differ",
			"sales/entries: account currency amount":   "receivable unknown 120; sales unknown -110; suspense unknown -10",
		},
	}},
	// Without a minor unit of its own, cents are hundredths; with none, cents are all
	// there is.
	{"thinkific_order_dollars_cents_disagree.json", `default_currency = "JPY"`, edge{
		status: domain.Accepted, kinds: "sales.sold", flags: "dollars-and-cents-disagree",
		views: map[string]string{"sales/orders: order currency total flags": "19796 JPY 5000 dollars-and-cents-disagree"},
	}},
}
