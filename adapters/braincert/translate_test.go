package braincert_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// change is a new value for a member of a sample, by path; absent removes it.
type change struct {
	path  string
	value any
}

type absent struct{}

// edited returns a sample's body with some members changed, as a customer may do.
func edited(t *testing.T, file string, changes ...change) domain.Request {
	t.Helper()
	s := sample(t, "braincert/"+file+".json")
	var doc any
	dec := json.NewDecoder(bytes.NewReader(s.Body))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		set(doc, strings.Split(c.path, "/"), c.value)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return domain.Request{Header: s.Header, Body: body}
}

// sample returns the sample of the given file.
func sample(t *testing.T, file string) samples.Sample {
	t.Helper()
	all, err := samples.Webhooks("braincert")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s samples.Sample) bool { return s.File == file })
	if i < 0 {
		t.Fatalf("no sample %s", file)
	}
	return all[i]
}

func set(node any, path []string, value any) {
	if l, ok := node.([]any); ok {
		set(l[path[0][0]-'0'], path[1:], value)
		return
	}
	o := node.(map[string]any)
	if len(path) > 1 {
		set(o[path[0]], path[1:], value)
		return
	}
	if value == any(absent{}) {
		delete(o, path[0])
		return
	}
	o[path[0]] = value
}

// A rule changes a sample and looks for a text in what is made of it; "!" in
// front wants it not to be there.
type rule struct {
	name, file string
	changes    []change
	want       []string
}

func check(t *testing.T, rules []rule) {
	t.Helper()
	p := provider(t)
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			r := edited(t, tt.file, tt.changes...)
			got := intaketest.Describe(p.Translate(r))
			for _, want := range tt.want {
				text, not := strings.CutPrefix(want, "!")
				if strings.Contains(got, text) == not {
					t.Errorf("want %s in\n%s", want, got)
				}
			}
			intaketest.Check(t, p, r)
		})
	}
}

func TestRouting(t *testing.T) {
	check(t, []rule{
		{"letter case and space", "course_created", []change{{"resource", " Course"}, {"action", "CREATED\n"}}, []string{"topic Course Created\n", "fact"}},
		{"completed means three things", "new_sale", []change{{"resource", "course"}}, []string{"topic course completed\nreason unknown topic\n", "!fact", "!key"}},
		{"no resource", "course_created", []change{{"resource", absent{}}}, []string{"error braincert: translate: resource is missing"}},
		{"no action", "course_created", []change{{"action", nil}}, []string{"error braincert: translate: action is missing"}},
		{"resource is an object", "course_created", []change{{"resource", map[string]any{}}}, []string{"resource is not a text"}},
		{"unknown topic that cannot be kept", "course_created", []change{{"resource", "a\nb"}}, []string{"topic \nreason unknown topic"}},
		{"unknown topic that is too long", "course_created", []change{{"resource", strings.Repeat("x", 300)}}, []string{"topic \nreason unknown topic"}},
	})
}

func TestBodies(t *testing.T) {
	p := provider(t)
	good, twin := edited(t, "course_created"), sample(t, "braincert/user_created.ASSUMED.xml").Body
	for _, tt := range []struct{ name, contentType, body, want string }{
		{"json", "application/json", string(good.Body), "fact "},
		{"json with a charset", "application/json; charset=utf-8", string(good.Body), "fact "},
		{"text/json", "text/json", string(good.Body), "fact "},
		{"no type", "", string(good.Body), "fact "},
		{"byte order mark", "application/json", "\uFEFF" + string(good.Body), "flag byte-order-mark"},
		{"xml", "application/xml", string(twin), "fact "},
		{"xml with a charset", "text/xml; charset=utf-8", string(twin), "fact "},
		{"xml by another name", "application/vnd.braincert+xml", string(twin), "fact "},
		{"xml called json", "application/json", string(twin), "fact "},
		{"xml called nothing", "", "\n " + string(twin), "fact "},
		{"xml behind a byte order mark", "application/json", "\uFEFF\r\n" + string(twin), "flag byte-order-mark\nfact "},
		{"json called xml", "application/xml", string(good.Body), "fact "},
		{"json behind a byte order mark called xml", "text/xml", "\uFEFF\n" + string(good.Body), "flag byte-order-mark\nfact "},
		{"xml in another encoding", "application/xml", strings.Replace(string(twin), "UTF-8", "windows-1252", 1), "body is in another encoding; only UTF-8 is read"},
		{"neither, called xml", "application/xml", "resource=user", "body is not XML: text outside the document"},
		{"neither, called json", "application/json", "resource=user", "body is not JSON"},
		{"neither, called nothing", "", "resource=user", "body is not JSON"},
		{"xml without anything", "application/xml", "<webhook/>", "error braincert: translate: resource is missing"},
		{"empty", "application/json", "", "error braincert: translate: body is empty"},
		{"a list", "application/json", "[]", "error braincert: translate: resource is in something that is no object"},
		{"duplicate members", "", `{"resource":"x","resource":"user","action":"deleted","payload":{"id":1}}`, "flag duplicate-member\nfact"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := domain.Request{Header: http.Header{"Content-Type": {tt.contentType}}, Body: []byte(tt.body)}
			if got := intaketest.Describe(p.Translate(r)); !strings.Contains(got, tt.want) {
				t.Errorf("want %s in\n%s", tt.want, got)
			}
		})
	}
}

func TestKey(t *testing.T) {
	check(t, []rule{
		{"whole", "course_completed", nil, []string{"key course_completion/completed/20260310120000556677889/909120/789310\n"}},
		{"id as a number", "course_completed", []change{{"id", json.Number("20260310120000556677889")}}, []string{"key course_completion/completed/20260310120000556677889/909120/789310\n"}},
		{"no id", "course_completed", []change{{"id", absent{}}}, []string{"!key", "fact"}},
		{"no subject", "course_completed", []change{{"payload/course/id", absent{}}}, []string{"!key", "payload/course/id is missing"}},
		{"no person", "course_completed", []change{{"payload/user/id", absent{}}}, []string{"key course_completion/completed/20260310120000556677889/909120\n", "payload/user/id is missing"}},
		{"same id, other subject", "course_created", []change{{"payload/id", 7}}, []string{"/7\n"}},
	})
}

func TestOccurredAt(t *testing.T) {
	check(t, []rule{
		{"created_at", "user_updated", nil, []string{"fact 2026-02-18T09:15:00Z", "!flag"}},
		{"times a day apart", "user_updated", []change{{"timestamp", 1771406100 + 86400}}, []string{"fact 2026-02-18T09:15:00Z", "!flag"}},
		{"times more than a day apart", "user_updated", []change{{"timestamp", 1771406100 + 86401}}, []string{"fact 2026-02-18T09:15:00Z", "flag times-disagree"}},
		{"times years apart", "user_updated", []change{{"timestamp", "1600120333"}}, []string{"fact 2026-02-18T09:15:00Z", "flag times-disagree"}},
		{"timestamp that is none, not needed", "user_updated", []change{{"timestamp", "now"}}, []string{"fact 2026-02-18T09:15:00Z", "flag bad-timestamp"}},
		{"payload's time", "course_completed", []change{{"created_at", absent{}}, {"payload/course/completion_date", "2026-03-09T12:00:00Z"}}, []string{"fact 2026-03-09T12:00:00Z"}},
		{"order's date", "new_sale", []change{{"created_at", ""}, {"payload/order_date", "2026-03-11"}}, []string{"fact 2026-03-11T00:00:00Z"}},
		{"timestamp", "user_updated", []change{{"created_at", nil}}, []string{"fact 2026-02-18T09:15:00Z"}},
		{"timestamp that is none, needed", "user_updated", []change{{"created_at", nil}, {"timestamp", "now"}}, []string{"timestamp is not a Unix time"}},
		{"timestamp in milliseconds", "user_updated", []change{{"created_at", nil}, {"timestamp", json.Number("1771406100000")}}, []string{"timestamp is not a Unix time"}},
		{"nothing", "user_updated", []change{{"created_at", nil}, {"timestamp", nil}}, []string{"fact - directory"}},
		{"a course's creation does not date its update", "course_updated", []change{{"created_at", nil}, {"timestamp", nil}}, []string{"fact - directory"}},
		{"created_at that is no time", "user_updated", []change{{"created_at", "18/02/2026"}}, []string{`created_at is not a date`}},
	})
}

func TestPerson(t *testing.T) {
	check(t, []rule{
		{"user_id at signup", "user_created", []change{{"payload/id", 5}}, []string{`"person":"789310"`}},
		{"id at signup", "user_created", []change{{"payload/user_id", absent{}}, {"payload/id", 5}}, []string{`"person":"5"`}},
		{"id later", "user_updated", []change{{"payload/user_id", 5}}, []string{`"person":"789310"`}},
		{"no id", "user_updated", []change{{"payload/id", "null"}}, []string{"error", "payload/id is missing"}},
		{"only a first name", "user_updated", []change{{"payload/last_name", nil}}, []string{`"name":"Amina"`}},
		{"masked e-mail", "user_updated", []change{{"payload/email", "[email\u00a0protected]"}}, []string{"flag bad-email", "!protected", `"name":"Amina Yusuf"`}},
		{"starred e-mail", "user_updated", []change{{"payload/email", "a***f@example.com"}}, []string{"flag bad-email", "!a***f"}},
		{"e-mail with a name", "user_updated", []change{{"payload/email", "Amina <amina.yusuf@example.com>"}}, []string{"flag bad-email"}},
		{"e-mail without a host", "user_updated", []change{{"payload/email", "amina@localhost"}}, []string{"flag bad-email"}},
		{"e-mail with a space around it", "user_updated", []change{{"payload/email", " Amina.Yusuf@Example.com "}}, []string{`"email":"Amina.Yusuf@Example.com"`, "!flag"}},
		{"no e-mail", "user_updated", []change{{"payload/email", nil}}, []string{"fact", "!flag", "!email"}},
		{"group id as a number", "user_updated", []change{{"payload/groups/0/group_id", 311}}, []string{`"groups":["311","312"]`}},
		{"role without a name", "user_updated", []change{{"payload/roles/0/role_name", ""}}, []string{`"roles":["1"]`}},
		{"several answers", "user_updated", []change{{"payload/custom_registration_fields/0/field_value", []any{"a", 2, true}}}, []string{`"attributes/0/value":"a, 2, true"`}},
		{"answer that is an object", "user_updated", []change{{"payload/custom_registration_fields/0/field_value", map[string]any{"a": 1}}}, []string{"flag unread-field", "fact"}},
		{"field without a name", "user_updated", []change{{"payload/custom_registration_fields/0/field_name", nil}}, []string{`"attributes":[{"name":"employer"}`}},
		{"name with a NUL", "user_updated", []change{{"payload/first_name", "a\x00b"}}, []string{"error", "name has a NUL"}},
	})
}

func TestCatalogue(t *testing.T) {
	check(t, []rule{
		{"product without a sku", "product_created", []change{{"payload/sku", ""}}, []string{`"item":"https://ardent.example.com/product/hi-vis-vest"`}},
		{"product deleted without a sku", "product_deleted", []change{{"payload/sku", nil}}, []string{`"item":"https://ardent.example.com/product/hi-vis-vest"`}},
		{"product without either", "product_created", []change{{"payload/sku", nil}, {"payload/slug", nil}}, []string{"payload/sku is missing"}},
		{"price as text", "product_created", []change{{"payload/price", "1,180.00 USD"}}, []string{`"price":"1,180.00 USD"`}},
		{"class by id", "live_class_created", []change{{"payload/class_id", absent{}}, {"payload/id", 9}}, []string{`"item":"9"`}},
		{"only an id", "course_created", []change{{"payload", map[string]any{"id": 9}}}, []string{`{"item_type":"course","item":"9","activity":"created"}`}},
		{"id with a fraction", "course_created", []change{{"payload/id", 9.5}}, []string{"payload/id is not an id"}},
		{"no payload", "course_created", []change{{"payload", absent{}}}, []string{"payload/id is missing"}},
	})
}

func TestCertificate(t *testing.T) {
	const issued, expiry, date = "payload/completion_details/certificate_issued", "payload/completion_details/certificate_expiry", "payload/completion_details/certificate_expiration_date"
	check(t, []rule{
		{"expires", "course_completed", nil, []string{`{"state":"issued","expiry":"on","expires_at":"2028-03-10T12:00:00Z"}`, "!flag"}},
		{"a bare date counts to its end", "course_completed", []change{{date, "2028-03-10"}}, []string{`"expires_at":"2028-03-10T23:59:59.999999Z"`}},
		{"expiry no: the date is ignored", "course_completed", []change{{expiry, "No"}, {date, "rubbish"}}, []string{`{"state":"issued","expiry":"never"}`, "!flag"}},
		{"expiry yes without a date", "course_completed", []change{{date, nil}}, []string{`{"state":"issued","expiry":"unknown"}`, "flag expiry-unknown"}},
		{"date is the text null", "course_completed", []change{{date, "null"}}, []string{`{"state":"issued","expiry":"unknown"}`, "flag expiry-unknown"}},
		{"expiry yes with a bad date", "course_completed", []change{{date, "10/03/2028"}}, []string{"error", "certificate_expiration_date is"}},
		{"nobody says whether it expires", "course_completed", []change{{expiry, ""}}, []string{`{"state":"issued","expiry":"unknown"}`, "flag expiry-unknown"}},
		{"not issued", "course_completed", []change{{issued, "no"}}, []string{`"certificate":{"state":"none"}`, "!flag"}},
		{"nobody says whether it was issued", "course_completed", []change{{"payload/completion_details", absent{}}}, []string{`"certificate":{"state":"unknown"}`, "!flag"}},
		{"issued maybe", "course_completed", []change{{issued, "maybe"}}, []string{"error", "certificate_issued is neither yes nor no"}},
		{"name instead of title", "course_completed", []change{{"payload/course/title", absent{}}, {"payload/course/name", "N"}}, []string{`"subject_name":"N"`}},
		{"completed when created", "course_completed", []change{{"payload/course/completion_date", nil}}, []string{`"completed_at":"2026-03-10T12:00:00Z"`}},
		{"completed when sent", "course_completed", []change{{"payload/course/completion_date", nil}, {"created_at", nil}}, []string{`"completed_at":"2026-03-10T12:00:00Z"`}},
		{"completed nobody knows when", "course_completed", []change{{"payload/course/completion_date", nil}, {"created_at", nil}, {"timestamp", nil}}, []string{"error", "completion_date is missing"}},
		{"nobody completed it", "course_completed", []change{{"payload/user", absent{}}}, []string{"error", "payload/user/id is missing"}},
	})
}

func TestEnrolment(t *testing.T) {
	check(t, []rule{
		{"nobody enrolled", "course_enrollment", []change{{"payload/user/id", nil}}, []string{"error", "payload/user/id is missing"}},
		{"in nothing", "test_enrollment", []change{{"payload/test/id", nil}}, []string{"error", "payload/test/id is missing"}},
		{"in no class", "live_class_enrollment", []change{{"payload/class_id", nil}}, []string{"error", "payload/class_id is missing"}},
		{"without times", "course_enrollment", []change{{"payload/activated_at", nil}, {"payload/started_at", nil}}, []string{"fact", "!enrolled_at", "!started_at"}},
	})
}

func TestOutcome(t *testing.T) {
	const score, pass, scoring = "payload/final_score", "payload/passing_score", "payload/manual_scoring"
	check(t, []rule{
		{"above", "test_completed", nil, []string{`"outcome":"passed"`, "!flag"}},
		{"equal", "test_completed", []change{{score, "75.0"}}, []string{`"score":"75","passing_score":"75","outcome":"passed"`}},
		{"below", "test_completed", []change{{score, json.Number("74.999999999999999999")}}, []string{`"outcome":"failed"`}},
		{"zero", "test_completed", []change{{score, 0}}, []string{`"score":"0"`, `"outcome":"failed"`}},
		{"pending", "test_completed", []change{{scoring, "Pending"}}, []string{`"outcome":"pending"`}},
		{"scored by hand", "test_completed", []change{{scoring, "completed"}}, []string{`"outcome":"passed"`}},
		{"the text null", "test_completed", []change{{scoring, "null"}}, []string{`"outcome":"passed"`, "!flag"}},
		{"no text", "test_completed", []change{{scoring, ""}}, []string{`"outcome":"passed"`, "!flag"}},
		{"a word nobody documented", "test_completed", []change{{scoring, "in review"}}, []string{`"outcome":"unknown"`, "flag scoring-unknown"}},
		{"no score", "test_completed", []change{{score, nil}}, []string{`"outcome":"unknown"`, "!\"score\""}},
		{"no pass mark", "test_completed", []change{{pass, "null"}}, []string{`"outcome":"unknown"`}},
		{"score in percent", "test_completed", []change{{score, "85%"}}, []string{"error", "payload/final_score is not a plain number"}},
	})
}

func TestSale(t *testing.T) {
	const total, between, charge = "payload/total", "payload/total_amount", "payload/service_charge"
	check(t, []rule{
		{"not paid", "new_sale", []change{{"payload/payment_status", " Pending "}}, []string{`"payment_status":"Pending"`}},
		{"charge", "new_sale", []change{{charge, "4.50"}, {total, "184.50"}}, []string{`"charges":"4.5","total":"184.5"`, "!flags"}},
		{"charge within the total", "new_sale", []change{{charge, 4.5}}, []string{`"flags":["total-differs"]`}},
		{"items do not add up", "new_sale", []change{{"payload/items/0/item_total", 99}}, []string{`"flags":["items-differ"]`, `"total":"180"`}},
		{"binary noise is noise", "new_sale", []change{{total, json.Number("180.00000000000003")}}, []string{`"total":"180.00000000000003"`, `"total-differs"`}},
		{"no total_amount", "new_sale", []change{{between, nil}}, []string{"fact", "!flags"}},
		{"no total_amount, items do not add up", "new_sale", []change{{between, nil}, {total, 170}}, []string{`"flags":["items-differ"]`}},
		{"item without an amount", "new_sale", []change{{"payload/items/1/item_total", nil}}, []string{`"amount":"0"`, `"flags":["amount-missing","items-differ"]`}},
		{"no items", "new_sale", []change{{"payload/items", absent{}}}, []string{"fact", "!lines", "!flags"}},
		{"no total", "new_sale", []change{{total, nil}}, []string{"error", "payload/total is missing"}},
		{"total with a separator", "new_sale", []change{{total, "1,180.00"}}, []string{"error", `payload/total is not a plain number`}},
		{"price with a sign", "new_sale", []change{{"payload/items/0/price", "$100"}}, []string{"error", "payload/items/0/price is not a plain number"}},
		{"total beyond the limits", "new_sale", []change{{total, json.Number("1e400")}}, []string{"error", "payload/total has more than 38 digits"}},
		{"no order", "new_sale", []change{{"payload/order_id", "null"}}, []string{"error", "payload/order_id is missing"}},
		{"currency in any case", "new_sale", []change{{"payload/currency", " uSd "}}, []string{`"currency":"USD"`}},
		{"no currency", "new_sale", []change{{"payload/currency", absent{}}}, []string{"error", "payload/currency is missing"}},
		{"currency is a sign", "new_sale", []change{{"payload/currency", "$"}}, []string{"error", "payload/currency is"}},
		{"currency is a name", "new_sale", []change{{"payload/currency", "US Dollar"}}, []string{"error", "payload/currency is"}},
		{"currency in other letters", "new_sale", []change{{"payload/currency", "€"}}, []string{"error", "payload/currency is"}},
		{"buyer is no person", "new_sale", []change{{"payload/user/id", 789310}}, []string{`!"person"`, `"buyer/email":"amina.yusuf@example.com"`}},
		{"masked buyer", "new_sale", []change{{"payload/user/email", "[email protected]"}}, []string{"flag bad-email", "!buyer/email"}},
	})
}

func TestSendTest(t *testing.T) {
	check(t, []rule{
		{"course", "course_created", []change{{"payload/payment_type", "free/paid"}}, []string{"test\nfact"}},
		{"course updated", "course_updated", []change{{"payload/payment_type", "Free / Paid"}}, []string{"test\nfact"}},
		{"course deleted", "course_deleted", []change{{"payload/payment_type", "paid/free"}}, []string{"test\nfact"}},
		{"bundle", "course_bundle_created", []change{{"payload/payment_type", "free/paid"}}, []string{"test\nfact"}},
		{"bundle updated", "course_bundle_updated", []change{{"payload/name", "Bundle Name"}, {"payload/description", "Description"}}, []string{"test\nfact"}},
		{"bundle deleted", "course_bundle_deleted", []change{{"payload/courses/0/course_id", "Course ID"}}, []string{"test\nfact"}},
		{"test", "test_created", []change{{"payload/scoring_type", "adaptive/standard/partial credit"}}, []string{"test\nfact"}},
		{"test updated", "test_updated", []change{{"payload/payment_type", "free/paid"}}, []string{"test\nfact"}},
		{"test deleted", "test_deleted", []change{{"payload/time_limit", "Time Limit"}}, []string{"test\nfact"}},
		{"class", "live_class_created", []change{{"payload/class_type", "One-time/recurring"}}, []string{"test\nfact"}},
		{"class updated", "live_class_updated", []change{{"payload/class_type", "One-time/Recurring"}}, []string{"test\nfact"}},
		{"class deleted", "live_class_deleted", []change{{"payload/attendee_limit", "Attendee limit"}}, []string{"test\nfact"}},
		{"class of an enrolment", "live_class_enrollment", []change{{"payload/live_class/class_type", "One-time/Recurring"}}, []string{"test\nfact"}},
		{"status of an enrolment", "live_class_enrollment", []change{{"payload/enrollment_status", "Active/Inactive"}}, []string{"test\nfact"}},
		{"enrolment in a course", "course_enrollment", []change{{"payload/enrollment_id", "Enrollment ID"}}, []string{"test\nfact"}},
		{"enrolment in a test", "test_enrollment", []change{{"payload/user/email", "Email"}}, []string{"test\nflag bad-email\nfact"}},
		{"user", "user_created", []change{{"payload/name", "Name"}, {"payload/email", "Email"}, {"payload/user_id", "User ID"}}, []string{"test\n", `"person":"User ID"`}},
		{"user updated", "user_updated", []change{{"payload/first_name", "First Name"}, {"payload/last_name", "Last Name"}}, []string{"test\nfact"}},
		{"user deleted", "user_deleted", []change{{"payload/email", "email"}}, []string{"test\nfact"}},
		{"group", "group_created", []change{{"payload/group_name", "Group Name"}, {"payload/description", "Description"}}, []string{"test\nfact"}},
		{"product", "product_created", []change{{"payload/price", "Price"}}, []string{"test\nfact"}},
		{"product deleted", "product_deleted", []change{{"payload/weight", "Weight lb"}}, []string{"test\nfact"}},
		{"banner", "product_created", []change{{"payload/banner", "Banner URL"}}, []string{"test\nfact"}},
		{"shipping", "product_created", []change{{"payload/shipping_charge", "Shipping Charge"}}, []string{"test\nfact"}},
		{"sku is no id", "product_created", []change{{"payload/sku", "SKU"}}, []string{"test\nreason test", "!fact"}},
		{"price of an item", "new_sale", []change{{"payload/items/1/price", "Price"}}, []string{"test\nreason test", "!fact", "!error"}},
		{"type of an item", "new_sale", []change{{"payload/items/0/type", "course/assessment"}}, []string{"test\nfact"}},
		{"status of a sale", "new_sale", []change{{"payload/payment_status", "paid/pending"}}, []string{"test\nfact"}},
		{"total", "new_sale", []change{{"payload/total", "Total"}}, []string{"test\nreason test", "!fact"}},
		{"certificate", "course_completed", []change{{"payload/completion_details/certificate_issued", "no/yes"}}, []string{"test\nreason test", "!fact", "!error"}},
		{"expiry of a certificate", "course_completed", []change{{"payload/completion_details/certificate_expiry", "yes/no"}}, []string{"test\nflag expiry-unknown\nreason test", "!fact", "!error"}},
		{"scoring", "test_completed", []change{{"payload/manual_scoring", "pending/completed/null"}}, []string{"test\nflag scoring-unknown\nfact", `"outcome":"unknown"`}},
		{"open end", "test_completed", []change{{"payload/open_ended", "no/yes"}}, []string{"test\nfact"}},

		{"a course of that name is none", "course_created", []change{{"payload/name", "free/paid"}}, []string{"!test\n", "fact"}},
		{"a course that is named so is none", "course_created", []change{{"payload/name", "Name"}}, []string{"!test\n", "fact"}},
		{"a description that is one is none", "group_created", []change{{"payload/description", "Description"}}, []string{"!test\n", "fact"}},
		{"a choice is none", "course_created", []change{{"payload/payment_type", "free"}}, []string{"!test\n", "fact"}},
		{"what nobody can choose is none", "course_created", []change{{"payload/payment_type", "free/trial"}}, []string{"!test\n", "fact"}},
		{"a slash is none", "new_sale", []change{{"payload/payment_method", "credit/debit card"}}, []string{"!test\n", "fact"}},
		{"a sku that begins so is none", "product_created", []change{{"payload/sku", "SKU-7"}}, []string{"!test\n", `"item":"SKU-7"`}},
	})
}

// TestOptional: what a fact can do without is left out and flagged.
func TestOptional(t *testing.T) {
	odd := map[string]any{"a": 1}
	check(t, []rule{
		{"times of an enrolment", "course_enrollment", []change{{"payload/activated_at", "20/02/2026"}, {"payload/started_at", odd}}, []string{"flag odd-field:payload/activated_at\nflag odd-field:payload/started_at\nfact", "!enrolled_at"}},
		{"id of an enrolment", "course_enrollment", []change{{"payload/enrollment_id", true}}, []string{"flag odd-field:payload/enrollment_id\nfact", "!enrolment\""}},
		{"name", "course_completed", []change{{"payload/user/first_name", odd}}, []string{"flag odd-field:payload/user/first_name\nfact", `"name":"Yusuf"`}},
		{"name of a course", "course_completed", []change{{"payload/course/title", []any{}}}, []string{"flag odd-field:payload/course/title\nfact"}},
		{"e-mail", "course_completed", []change{{"payload/user/email", odd}}, []string{"flag odd-field:payload/user/email\nfact", "!\"email\""}},
		{"roles that are no list", "user_updated", []change{{"payload/roles", "Student"}}, []string{"flag odd-field:payload/roles\nfact", "!\"roles\""}},
		{"no roles any more", "user_updated", []change{{"payload/roles", []any{}}, {"payload/groups", []any{}}}, []string{`"roles":[],"groups":[]`, "!flag"}},
		{"role that is odd", "user_updated", []change{{"payload/roles", []any{"Student", odd}}}, []string{"flag odd-field:payload/roles/1\nfact", "!\"roles\""}},
		{"roles by their names alone", "user_updated", []change{{"payload/roles", []any{"Student", "Tutor"}}, {"payload/groups", []any{311, "312"}}}, []string{`"roles":["Student","Tutor"],"groups":["311","312"]`, "!flag"}},
		{"price in the catalogue", "product_created", []change{{"payload/price", odd}}, []string{"flag odd-field:payload/price\nfact"}},
		{"items that are no list", "new_sale", []change{{"payload/items", odd}}, []string{"flag odd-field:payload/items\nfact", `"total":"180"`}},
		{"status", "new_sale", []change{{"payload/payment_status", odd}}, []string{"flag odd-field:payload/payment_status\nfact", `"flags":["payment-unsaid"]`}},
		{"no status", "new_sale", []change{{"payload/payment_status", absent{}}}, []string{`"flags":["payment-unsaid"]`}},
		{"nothing but what is needed", "new_sale", []change{{"payload", map[string]any{"order_id": 7, "currency": "usd", "total": "1"}}}, []string{`{"order":"7","total":"1","currency":"USD","flags":["payment-unsaid"]}`, "!\nflag"}},
		{"nothing but what is needed", "test_completed", []change{{"payload", map[string]any{"id": 7, "user": map[string]any{"id": 8}}}}, []string{`{"person":"8","subject_type":"test","subject":"7","tested_at":"2026-03-09T21:02:50Z","outcome":"unknown"}`, "!flag"}},
		{"a test without a date", "test_completed", []change{{"created_at", nil}, {"timestamp", nil}}, []string{"error", "created_at is missing"}},
		{"a test dated by its timestamp", "test_completed", []change{{"created_at", nil}}, []string{`"tested_at":"2026-03-09T21:02:50Z"`}},
	})
}

// TestTopics: there is a sample of each of the 24 topics, and each gives a fact.
func TestTopics(t *testing.T) {
	p := provider(t)
	all, err := samples.Webhooks("braincert")
	if err != nil {
		t.Fatal(err)
	}
	topics := make(map[string]bool)
	for _, s := range all {
		tr, err := p.Translate(domain.Request{Header: s.Header, Body: s.Body})
		if err == nil && len(tr.Facts) == 1 && !tr.Test {
			topics[tr.Topic] = true
		}
	}
	if len(topics) != 24 {
		t.Errorf("%d topics give a fact, want 24: %v", len(topics), topics)
	}
}
