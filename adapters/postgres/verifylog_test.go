package postgres_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A verifiable is a log with the pool that verifies it, and that of somebody who
// may do anything to it.
type verifiable struct {
	*world
	auditor, owner *sql.DB
}

// newVerifiable returns a log of deliveries of all sorts.
func newVerifiable(t *testing.T) *verifiable {
	t.Helper()
	v := &verifiable{world: newWorld(t)}
	v.random(60)
	for n := range int64(12) {
		d := scoped(n % 3)
		d.Scopes = append(d.Scopes, "credits/"+strconv.FormatInt(n, 10))
		v.append(d)
	}
	v.read()
	v.auditor = postgrestest.Open(t, v.url, postgres.RoleAuditor)
	v.owner = postgrestest.Open(t, v.url, postgres.RoleOwner)
	return v
}

func (v *verifiable) exec(t interface {
	Helper()
	Fatal(...any)
}, statements ...string,
) {
	t.Helper()
	for _, s := range statements {
		if _, err := v.owner.ExecContext(context.Background(), s); err != nil {
			t.Fatal(s, err)
		}
	}
}

func (v *verifiable) head() int64 { return int64(len(v.log)) }

// checkpoint is what a checkpoint of the log says at a size.
func (v *verifiable) checkpoint(size, epoch int64) postgres.KeptCheckpoint {
	k := postgres.KeptCheckpoint{Where: fmt.Sprintf("checkpoint %d", size)}
	k.Origin, k.Size = checkpoint.Origin("daybook/test", epoch), size
	root, err := base64.StdEncoding.DecodeString(v.root[size])
	if err != nil {
		v.t.Fatal(err)
	}
	k.Root = tree.Hash(root)
	return k
}

func (v *verifiable) verify(t interface {
	Helper()
	Fatal(...any)
}, check postgres.LogCheck,
) postgres.LogVerification {
	t.Helper()
	if check.Now.IsZero() {
		check.Now = time.Now()
	}
	done, err := postgres.VerifyLog(context.Background(), v.auditor, check, nil)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestVerifyLog verifies a log that nobody changed, whole and in part, with all
// sorts of evidence.
func TestVerifyLog(t *testing.T) {
	v := newVerifiable(t)
	head := v.head()
	receipt := v.deliveries[3].Records[0]
	kept := postgres.KeptReceipt{Where: "receipt", Position: receipt.Position, ID: receipt.ID}
	leaf, err := base64.StdEncoding.DecodeString(receipt.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	kept.Leaf = tree.Hash(leaf)
	forged := kept
	forged.Leaf[0] ^= 1
	rewritten := v.checkpoint(head-5, 1)
	rewritten.Root[0] ^= 1
	longer := v.checkpoint(head, 1)
	longer.Size += 3
	all := []postgres.KeptCheckpoint{v.checkpoint(head, 1), v.checkpoint(1, 1), v.checkpoint(head-1, 1)}
	later := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name     string
		check    postgres.LogCheck
		want     domain.Verdict
		position int64  // of the first finding
		says     string // the first finding, or what is missing
	}{
		{"whole", postgres.LogCheck{Checkpoints: all, Receipts: []postgres.KeptReceipt{kept}}, domain.OK, 0, ""},
		{"without a checkpoint", postgres.LogCheck{}, domain.Incomplete, 0, "no checkpoint from outside"},
		{"a receipt alone", postgres.LogCheck{Receipts: []postgres.KeptReceipt{kept}}, domain.Incomplete, 0, "no checkpoint from outside"},
		{"just behind the checkpoint", postgres.LogCheck{Checkpoints: all[2:]}, domain.OK, 0, ""},
		{"far behind the checkpoint", postgres.LogCheck{Checkpoints: all[2:], Now: later}, domain.Incomplete, 0, fmt.Sprintf("records %d to %d", head, head)},
		{"a part", postgres.LogCheck{From: 7, To: 20, Checkpoints: all}, domain.OK, 0, ""},
		{"the end", postgres.LogCheck{From: head, Checkpoints: all}, domain.OK, 0, ""},
		{"another root", postgres.LogCheck{Checkpoints: append(all, rewritten)}, domain.Fail, 2, "rewritten"},
		{"a longer log", postgres.LogCheck{Checkpoints: append(all, longer)}, domain.Fail, head + 1, "records are missing"},
		{"a later epoch", postgres.LogCheck{Checkpoints: append(all, v.checkpoint(5, 2))}, domain.Fail, 5, "later epoch"},
		{"another receipt", postgres.LogCheck{Checkpoints: all, Receipts: []postgres.KeptReceipt{kept, forged}}, domain.Fail, kept.Position, "is a receipt for another record"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done := v.verify(t, tt.check)
			if done.Result != tt.want {
				t.Fatalf("it is %s, want %s: %v %v", done.Result, tt.want, done.Findings, done.Missing)
			}
			said := strings.Join(done.Missing, "\n")
			if tt.want == domain.Fail {
				said = done.Findings[0].What
				if done.Findings[0].Position != tt.position {
					t.Errorf("the first finding is at %d, want %d", done.Findings[0].Position, tt.position)
				}
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("it says %q, which has no %q", said, tt.says)
			}
		})
	}
	whole := v.verify(t, postgres.LogCheck{Checkpoints: all, Receipts: []postgres.KeptReceipt{kept}})
	want := postgres.LogVerification{
		Result: domain.OK, From: 1, To: head, Head: head, Root: v.root[head], Deliveries: int64(len(v.deliveries)),
		Vouched: head, Receipts: 1, Findings: []postgres.LogFinding{}, Missing: []string{}, Notes: []string{},
	}
	if diff := cmp.Diff(want, whole); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := postgres.VerifyLog(t.Context(), v.auditor, postgres.LogCheck{From: head + 1}, nil); domain.CodeOf(err) != domain.Usage {
		t.Errorf("records beyond the end: %v", err)
	}
}

// TestVerifyEmptyLog has nothing to look at, and does not call that OK: it may be
// what was left of a log.
func TestVerifyEmptyLog(t *testing.T) {
	v := &verifiable{world: newWorld(t)}
	v.auditor = postgrestest.Open(t, v.url, postgres.RoleAuditor)
	if done := v.verify(t, postgres.LogCheck{}); done.Result != domain.Incomplete {
		t.Errorf("it is %s: %v", done.Result, done.Findings)
	}
	k := postgres.KeptCheckpoint{Where: "checkpoint"}
	k.Origin, k.Size = checkpoint.Origin("daybook/test", 1), 2
	if done := v.verify(t, postgres.LogCheck{Checkpoints: []postgres.KeptCheckpoint{k}}); done.Result != domain.Fail {
		t.Errorf("with a checkpoint of two records it is %s", done.Result)
	}
}

// TestVerifyLargeDelivery has a delivery of so many records that they are not
// looked at all at once: what is wrong with it is wrong with each of them.
func TestVerifyLargeDelivery(t *testing.T) {
	const records = 4700
	v := &verifiable{world: newWorld(t)}
	v.reports(3)
	large := scoped(1)
	for i := range records {
		large.Facts = append(large.Facts, report(0, strconv.Itoa(i), 1).Facts...)
	}
	large.Facts = large.Facts[1:]
	v.append(large)
	v.reports(3)
	v.auditor, v.owner = postgrestest.Open(t, v.url, postgres.RoleAuditor), postgrestest.Open(t, v.url, postgres.RoleOwner)
	for _, check := range []postgres.LogCheck{{}, {From: 3000}, {From: 4, To: 4000}} {
		if done := v.verify(t, check); done.Result != domain.Incomplete || done.Head != records+6 {
			t.Errorf("%+v: %+v", check, done)
		}
	}
	v.unprotect(t)
	v.exec(t, `UPDATE delivery_scope SET scope = repeat('A', 43)`)
	done := v.verify(t, postgres.LogCheck{})
	if done.Result != domain.Fail || done.Findings[0].Position != 4 || int64(len(done.Findings))+done.More != records {
		t.Errorf("%d findings and %d more, the first %v", len(done.Findings), done.More, done.Findings[0])
	}
	if done := v.verify(t, postgres.LogCheck{From: 3000}); done.Result != domain.Fail || done.Findings[0].Position != 3000 {
		t.Errorf("from 3000: %v", done.Findings)
	}
}

// column is a column of the tables that hold the truth.
type column struct{ table, name, typ string }

// columns returns all columns of the tables that hold the truth.
func (v *verifiable) columns() (list []column) {
	rows, err := v.owner.QueryContext(v.t.Context(), `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name IN ('log', 'delivery', 'delivery_scope', 'head') ORDER BY 1, ordinal_position`)
	if err != nil {
		v.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.table, &c.name, &c.typ); err != nil {
			v.t.Fatal(err)
		}
		list = append(list, c)
	}
	if err := rows.Err(); err != nil || len(list) < 30 {
		v.t.Fatal(list, err)
	}
	return list
}

// unprotect takes away everything that keeps a superuser from storing what he
// likes, but for the types of the columns.
func (v *verifiable) unprotect(t *testing.T) {
	t.Helper()
	v.exec(t, `SET session_replication_role = replica`, `DO $$
		DECLARE s text;
		BEGIN
			FOR s IN SELECT format('ALTER TABLE %s DISABLE TRIGGER ALL', r) FROM unnest(ARRAY['log', 'delivery', 'delivery_scope', 'head']) r
				UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
					WHERE conrelid IN ('log'::regclass, 'delivery'::regclass, 'delivery_scope'::regclass, 'head'::regclass)
			LOOP EXECUTE s; END LOOP;
			FOR s IN SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
				WHERE indrelid IN ('log'::regclass, 'delivery'::regclass, 'delivery_scope'::regclass) AND indisunique
			LOOP EXECUTE s; END LOOP;
		END $$`)
}

// flip draws a value that differs from a stored one by a bit, if there is one that
// its type can hold. Both are in PostgreSQL's text form.
func flip(t *rapid.T, typ, value string) (string, bool) {
	bit := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "bit") }
	switch typ {
	case "boolean":
		return strconv.FormatBool(value != "true"), true
	case "bigint", "integer", "smallint":
		n, err := strconv.ParseInt(value, 10, 64)
		return strconv.FormatInt(n^1<<bit(31), 10), err == nil
	case "bytea":
		b, err := hex.DecodeString(strings.TrimPrefix(value, `\x`))
		if err != nil || len(b) == 0 {
			return "", false
		}
		at := bit(8 * len(b))
		b[at/8] ^= 1 << (at % 8)
		return `\x` + hex.EncodeToString(b), true
	case "timestamp with time zone":
		at, err := time.Parse("2006-01-02 15:04:05.999999-07", value)
		return time.UnixMicro(at.UnixMicro() ^ 1<<bit(50)).UTC().Format("2006-01-02 15:04:05.999999-07"), err == nil
	}
	if value == "" {
		return "", false
	}
	b := []byte(value)
	at := bit(8 * len(b))
	b[at/8] ^= 1 << (at % 8)
	return string(b), utf8.Valid(b) && b[at/8] != 0
}

// TestVerifyFlipped flips one bit of one stored value, any value of the tables
// that hold the truth: it is found, where it is.
func TestVerifyFlipped(t *testing.T) {
	v := newVerifiable(t)
	v.unprotect(t)
	columns := v.columns()
	check := postgres.LogCheck{Checkpoints: []postgres.KeptCheckpoint{v.checkpoint(v.head(), 1)}}
	if done := v.verify(t, check); done.Result != domain.OK {
		t.Fatal(done)
	}
	flipped := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(columns).Draw(t, "column")
		ctid, position, records, value, ok := v.pick(t, c)
		if !ok {
			return
		}
		changed, ok := flip(t, c.typ, value)
		if !ok {
			return
		}
		update := fmt.Sprintf(`UPDATE %s SET %s = $1::text::%s WHERE ctid = $2::tid RETURNING ctid`, c.table, c.name, c.typ)
		var now string
		if err := v.owner.QueryRow(update, changed, ctid).Scan(&now); err != nil {
			return // no JSON, or no time
		}
		defer func() {
			if err := v.owner.QueryRow(update, value, now).Scan(&now); err != nil {
				t.Fatal(err)
			}
		}()
		flipped[c.table+"."+c.name]++
		done := v.verify(t, check)
		what := fmt.Sprintf("%s.%s at %d: %q became %q", c.table, c.name, position, value, changed)
		if done.Result != domain.Fail {
			t.Fatalf("%s, and it is %s", what, done.Result)
		}
		if !slices.ContainsFunc(done.Findings, func(f postgres.LogFinding) bool {
			return c.table == "head" || f.Position >= position && f.Position <= position+records
		}) {
			t.Fatalf("%s, and what is found is elsewhere: %v", what, done.Findings)
		}
	})
	if done := v.verify(t, check); done.Result != domain.OK {
		t.Error(done)
	}
	t.Log(len(flipped), "of", len(columns), "columns:", flipped)
}

// pick draws one value of a column that is not null.
func (v *verifiable) pick(t *rapid.T, c column) (ctid string, position, records int64, value string, ok bool) {
	count := `1`
	if c.table == "delivery" {
		count = `records`
	}
	from := fmt.Sprintf(`FROM %s WHERE %s IS NOT NULL`, c.table, c.name)
	var n int
	if err := v.owner.QueryRow(`SELECT count(*) ` + from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return "", 0, 0, "", false
	}
	err := v.owner.QueryRow(fmt.Sprintf(`SELECT ctid, position, %s, %s::text AS value %s ORDER BY ctid OFFSET %d LIMIT 1`,
		count, c.name, from, rapid.IntRange(0, n-1).Draw(t, "row"))).Scan(&ctid, &position, &records, &value)
	if err != nil {
		t.Fatal(err)
	}
	return ctid, position, records, value, true
}

// BenchmarkVerifyLog verifies a log of 200,000 records, each with a delivery of its own
// of some 600 bytes.
func BenchmarkVerifyLog(b *testing.B) {
	const records = 200_000
	url := postgrestest.URL(b)
	appender := postgrestest.Appender(b, url)
	var wg sync.WaitGroup
	for w := range 256 {
		wg.Go(func() {
			for i := w; i < records; i += 256 {
				d := report(i, strconv.Itoa(i%1000), int64(i%97))
				d.ID, d.ReceivedAt = ulid.Make(), time.Now()
				d.Header = map[string][]string{"Content-Type": {"application/json"}, "Webhook-Verb": {"eventCredits.Updated"}}
				d.Body = append(d.Body, strings.Repeat("x", 500)...)
				if _, err := appender.Append(b.Context(), d); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	auditor := postgrestest.Open(b, url, postgres.RoleAuditor)
	b.ResetTimer()
	for b.Loop() {
		done, err := postgres.VerifyLog(b.Context(), auditor, postgres.LogCheck{Now: time.Now()}, nil)
		if err != nil || done.Result != domain.Incomplete || done.To != records {
			b.Fatal(done, err)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
