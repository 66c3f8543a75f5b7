package postgres_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/projections"
)

// seen is a delivery that names people.
func seen(key string, people ...string) domain.Delivery {
	d := domain.Delivery{
		ID: ulid.Make(), Source: "acme", ReceivedAt: time.Now(), Verified: "test", Header: map[string][]string{"X-From": {"elsewhere"}}, Body: []byte(key),
		Translation: domain.Translation{Topic: "users", Key: key},
	}
	for _, p := range people {
		d.Facts = append(d.Facts, domain.Fact{Event: domain.DirectoryPersonSeen{
			PersonType: domain.PersonUser, Person: p, Name: domain.Personal("Name of " + p), Email: domain.Personal(p + "@example.com"),
		}})
	}
	return d
}

// names returns the sealed names in the log, by person.
func names(t *testing.T, url string) map[string]string {
	t.Helper()
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	rows, err := db.QueryContext(t.Context(), `SELECT data->>'person', personal->>'name', position FROM log WHERE kind = 'directory.person-seen.v1' ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var person, name string
		var position int64
		if err := rows.Scan(&person, &name, &position); err != nil {
			t.Fatal(err)
		}
		if before, ok := all[person]; ok && before != name {
			t.Errorf("record %d: the same name of %s has another sealed form", position, person)
		}
		all[person] = name
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func open(t *testing.T, k *postgres.Keyring, texts ...string) []string {
	t.Helper()
	opened, err := k.Open(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestKeyOfAPerson seals what is about one person with one key, however many
// append at once through however many processes.
func TestKeyOfAPerson(t *testing.T) {
	url := postgrestest.URL(t)
	appenders := []*postgres.Appender{postgrestest.Appender(t, url), postgrestest.Appender(t, url), postgrestest.Appender(t, url)}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			d := seen(fmt.Sprint("delivery ", i), fmt.Sprint(i%7), fmt.Sprint(i%3))
			if r, err := appenders[i%len(appenders)].Append(t.Context(), d); err != nil || r.Status != domain.Accepted {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
	wg.Wait()
	keys := postgrestest.Keys(t, url)
	all := names(t, url)
	for person, token := range all {
		if got := open(t, keys, token)[0]; got != "Name of "+person {
			t.Errorf("%s is called %q", person, got)
		}
	}
	var subjects, deliveries int
	err := postgrestest.Open(t, url, postgres.RoleOwner).QueryRowContext(t.Context(), `SELECT count(subject), count(*) FILTER (WHERE subject IS NULL) FROM data_key`).Scan(&subjects, &deliveries)
	if err != nil || len(all) != 7 || subjects != 7 || deliveries != 60 {
		t.Errorf("%d people have %d keys, 60 deliveries %d, %v", len(all), subjects, deliveries, err)
	}
	checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
}

// TestErased deletes the key of one of two people in a record's delivery, and then
// that of the delivery.
func TestErased(t *testing.T) {
	url := postgrestest.URL(t)
	log, owner := postgrestest.Appender(t, url), postgrestest.Open(t, url, postgres.RoleOwner)
	r := mustAppend(t, log, seen("one", "1", "2"))
	all := names(t, url)
	destroy := func(where string) {
		tx, err := owner.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), `DELETE FROM data_key WHERE `+where); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	destroy(`subject = 'acme/user/1'`)
	keys := postgrestest.Keys(t, url)
	if got := open(t, keys, all["1"], all["2"], "", "plain"); fmt.Sprint(got) != "["+projections.Erased+" Name of 2  plain]" {
		t.Errorf("opened %q", got)
	}
	d, err := postgres.ReadDelivery(t.Context(), owner, keys, r.Delivery)
	if err != nil || d.Erased || string(d.Body) != "one" || d.Header["X-From"][0] != "elsewhere" {
		t.Errorf("delivery %+v, %v", d, err)
	}
	destroy(`subject IS NULL`)
	if d, err = postgres.ReadDelivery(t.Context(), owner, keys, r.Delivery); err != nil || !d.Erased || len(d.Body) > 0 || len(d.Header) > 0 {
		t.Errorf("erased delivery %+v, %v", d, err)
	}
	// It is still known by its key and bytes, and nothing of the log has changed.
	if again := mustAppend(t, log, seen("one", "1", "2")); again.Status != domain.Duplicate || again.Delivery != r.Delivery {
		t.Errorf("again: %+v", again)
	}
	checkLog(t, owner)
}

// TestLostKeys finds keys that were deleted by hand, and none that an erasure has
// destroyed.
func TestLostKeys(t *testing.T) {
	url := postgrestest.URL(t)
	log, owner := postgrestest.Appender(t, url), postgrestest.Open(t, url, postgres.RoleOwner)
	mustAppend(t, log, seen("one", "1", "2"))
	mustAppend(t, log, seen("two", "2"))
	lost := func() postgres.KeyLoss {
		l, err := postgres.LostKeys(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := lost(); l != (postgres.KeyLoss{}) {
		t.Errorf("before anything is lost: %+v", l)
	}
	var ids []string
	for _, where := range []string{`subject = 'acme/user/2'`, `id = (SELECT substring(body FROM 1 FOR 32) FROM delivery WHERE position = 3)`} {
		tx, err := owner.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var id []byte
		if err := tx.QueryRowContext(t.Context(), `DELETE FROM data_key WHERE `+where+` RETURNING id`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, base64.StdEncoding.EncodeToString(id))
	}
	if l := lost(); l != (postgres.KeyLoss{Deliveries: 1, Subjects: 1, First: 2}) {
		t.Errorf("deleted by hand: %+v", l)
	}
	erased := seen("erased")
	erased.Facts = []domain.Fact{{Event: domain.PrivacyErased{
		Erasure: ulid.Make().String(), Identities: []domain.Identity{{Source: "acme", Type: domain.PersonUser, ID: "2"}},
		Keys: ids, Deliveries: 1, Epoch: 1, Basis: "asked", By: "test",
	}}}
	mustAppend(t, log, erased)
	if l := lost(); l != (postgres.KeyLoss{}) {
		t.Errorf("erased: %+v", l)
	}
}

// TestNewKeyAfterErasure seals with a new key what is said of a person after an
// erasure.
func TestNewKeyAfterErasure(t *testing.T) {
	url := postgrestest.URL(t)
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	mustAppend(t, postgrestest.Appender(t, url), seen("one", "1"))
	before := names(t, url)["1"]
	tx, err := owner.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `DELETE FROM data_key WHERE subject IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, postgrestest.Appender(t, url), seen("two", "1")) // a process that remembers no key
	var after string
	if err := owner.QueryRowContext(t.Context(), `SELECT personal->>'name' FROM log WHERE position = 2`).Scan(&after); err != nil {
		t.Fatal(err)
	}
	if got := open(t, postgrestest.Keys(t, url), before, after); got[0] != projections.Erased || got[1] != "Name of 1" {
		t.Errorf("opened %q", got)
	}
}

// TestKeysElsewhere opens a book without its files, and with those of another one.
func TestKeysElsewhere(t *testing.T) {
	url := postgrestest.URL(t)
	mustAppend(t, postgrestest.Appender(t, url), seen("one", "1"))
	token := names(t, url)["1"]
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	none := keyfile.Open(t.TempDir(), "book")
	keys, err := postgres.NewKeyring(t.Context(), owner, none)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Ready(t.Context()); domain.CodeOf(err) != domain.NotFound || domain.HintOf(err) == "" {
		t.Errorf("ready without files: %v", err)
	}
	if got := open(t, keys, token)[0]; got != projections.Unopened {
		t.Errorf("opened %q", got)
	}
	if err := postgres.SetupKeys(t.Context(), owner, none); err != nil {
		t.Fatal(err)
	}
	if _, err := none.Index(); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("new keys were made for a book that has some: %v", err)
	}
	for _, make := range []func() (*seal.Key, error){none.MakeIndex, func() (*seal.Key, error) { return none.MakeKEK(1) }} {
		if _, err := make(); err != nil {
			t.Fatal(err)
		}
	}
	other, err := postgres.NewKeyring(t.Context(), owner, none)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Ready(t.Context()); domain.CodeOf(err) != domain.Refused {
		t.Errorf("ready with the files of another book: %v", err)
	}
	if _, err := other.Open(context.Background(), []string{token}); domain.CodeOf(err) != domain.Refused {
		t.Errorf("opened with the files of another book: %v", err)
	}
}

// TestLostReplyOfAKey appends again about a person whose key was stored unnoticed.
func TestLostReplyOfAKey(t *testing.T) {
	url := postgrestest.URL(t)
	keys := postgrestest.Keys(t, url)
	log := postgrestest.AppenderWith(t, url, keys)
	mustAppend(t, log, seen("one", "1"))
	keys.LoseReplies()
	mustAppend(t, log, seen("two", "1", "2"))
	for person, token := range names(t, url) {
		if got := open(t, keys, token)[0]; got != "Name of "+person {
			t.Errorf("%s is called %q", person, got)
		}
	}
	checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
}

// TestKeysOfAConflict wants no key for people who are named only in what is not
// booked.
func TestKeysOfAConflict(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	mustAppend(t, log, seen("one", "1"))
	other := seen("one", "2")
	other.Body = []byte("other bytes")
	if r := mustAppend(t, log, other); r.Status != domain.Conflicting {
		t.Fatalf("status %s", r.Status)
	}
	var subjects string
	err := postgrestest.Open(t, url, postgres.RoleOwner).QueryRowContext(t.Context(), `SELECT string_agg(subject, ' ') FROM data_key`).Scan(&subjects)
	if err != nil || subjects != "acme/user/1" {
		t.Errorf("there are keys of %q, %v", subjects, err)
	}
	mustAppend(t, log, seen("three", "2")) // whose key was made, and not stored
	if got := open(t, postgrestest.Keys(t, url), names(t, url)["2"])[0]; got != "Name of 2" {
		t.Errorf("called %q", got)
	}
	checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
}

// TestRotationsAtOnce rotates while another rotation has keys in hand: none is left
// behind under a key-encryption key that is destroyed.
func TestRotationsAtOnce(t *testing.T) {
	url := postgrestest.URL(t)
	mustAppend(t, postgrestest.Appender(t, url), seen("one", "1"))
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	files, err := postgrestest.Files(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := owner.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `SELECT FROM data_key WHERE subject = 'acme/user/1' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	rotated := make(chan postgres.Rotation, 1)
	go func() {
		defer close(rotated)
		r, err := postgres.Rotate(t.Context(), owner, files.(postgres.RotatedFiles), func(_, _ int64) {})
		if err != nil {
			t.Error(err)
		}
		rotated <- r
	}()
	await(t, owner, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
		OR EXISTS (SELECT FROM key_epoch WHERE destroyed_at IS NOT NULL)`)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := <-rotated; r.Lost != 0 || r.Wrapped != 2 {
		t.Errorf("%+v", r)
	}
	if got := open(t, postgrestest.Keys(t, url), names(t, url)["1"])[0]; got != "Name of 1" {
		t.Errorf("called %q", got)
	}
}

// TestErasedMeanwhile erases a person while a process remembers the key: it does so
// for five seconds.
func TestErasedMeanwhile(t *testing.T) {
	url := postgrestest.URL(t)
	keys := postgrestest.Keys(t, url)
	var past atomic.Int64
	begun := time.Now()
	keys.Clock(func() time.Time { return begun.Add(time.Duration(past.Load())) })
	log := postgrestest.AppenderWith(t, url, keys)
	mustAppend(t, log, seen("one", "1"))
	change(t, postgrestest.Open(t, url, postgres.RoleOwner), `DELETE FROM data_key WHERE subject IS NOT NULL`)
	past.Store(int64(5*time.Second + 1))
	mustAppend(t, log, seen("two", "1"))
	var after string
	err := postgrestest.Open(t, url, postgres.RoleProjector).QueryRowContext(t.Context(), `SELECT personal->>'name' FROM log WHERE position = 2`).Scan(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := open(t, keys, after)[0]; got != "Name of 1" {
		t.Errorf("opened %q", got)
	}
}

// TestDeliveryMoved puts the sealed parts of one delivery in the place of another's:
// their key opens them there no more.
func TestDeliveryMoved(t *testing.T) {
	url := postgrestest.URL(t)
	log, owner := postgrestest.Appender(t, url), postgrestest.Open(t, url, postgres.RoleOwner)
	mustAppend(t, log, seen("one", "1"))
	second := mustAppend(t, log, seen("two", "1"))
	change(t, owner, `ALTER TABLE delivery DISABLE TRIGGER append_only`,
		`UPDATE delivery d SET header = o.header, body = o.body FROM delivery o WHERE o.position = 1 AND d.position = 2`)
	if d, err := postgres.ReadDelivery(t.Context(), owner, postgrestest.Keys(t, url), second.Delivery); domain.CodeOf(err) != domain.Differs {
		t.Errorf("opened %q, %v", d.Body, err)
	}
}

// change runs statements in one transaction.
func change(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestKnownByName gives people who are known by their names alone a key each, that
// does not say the name.
func TestKnownByName(t *testing.T) {
	url := postgrestest.URL(t)
	d := seen("entry")
	d.Facts = []domain.Fact{{Event: domain.SalesEntryPosted{
		Entry: "1", Currency: "GBP",
		Beneficiary: domain.Party{Name: "Lena Fischer"}, Payer: domain.Party{Name: "Ada Lovelace"}, PostedBy: domain.Party{Name: "Lena Fischer"},
	}}}
	mustAppend(t, postgrestest.Appender(t, url), d)
	var people, told int
	err := postgrestest.Open(t, url, postgres.RoleOwner).QueryRowContext(t.Context(),
		`SELECT count(DISTINCT subject), count(*) FILTER (WHERE subject ~ 'Lena|Ada' OR subject NOT LIKE 'acme/name/_%') FROM data_key WHERE subject IS NOT NULL`).Scan(&people, &told)
	if err != nil || people != 2 || told != 0 {
		t.Errorf("%d people have keys, of which %d say whose they are, %v", people, told, err)
	}
}
