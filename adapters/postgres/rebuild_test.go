package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// TestOneDigest is the law of rebuilding: any log gives one digest, in memory or in
// PostgreSQL, folded live in batches of any size or rebuilt in pages of any size,
// interrupted anywhere and gone on with.
func TestOneDigest(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	owner := postgrestest.Open(t, w.url, postgres.RoleOwner)
	rounds, resumed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		if rounds++; rounds > 15 { // each is a database's work, and the log grows
			return
		}
		for range rapid.IntRange(0, 25).Draw(t, "deliveries") {
			d := drawDelivery.Draw(t, "delivery")
			d.ID, d.ReceivedAt, d.Key = ulid.Make(), time.Now(), strconv.Itoa(len(w.deliveries))
			w.append(d)
		}
		w.read()
		want := make(map[string]string)
		for _, p := range w.all {
			want[p.Name] = w.folded(p, int64(len(w.log)), time.Time{}).Digest()
		}
		size := rapid.SampledFrom([]int{1, 7, 256})
		for range rapid.IntRange(0, 3).Draw(t, "interruptions") {
			stop := rapid.IntRange(1, 60).Draw(t, "stop")
			killed := rapid.Bool().Draw(t, "killed")
			e := w.newProjector(postgrestest.Open(w.t, w.url, postgres.RoleProjector))
			ctx, cancel := context.WithCancel(w.t.Context())
			now := time.Now()
			e.Pace(size.Draw(t, "page"), time.Nanosecond, func() time.Time {
				if stop--; stop == 0 && killed {
					kill(w.t, owner)
				} else if stop == 0 {
					cancel()
				}
				now = now.Add(time.Second)
				return now
			})
			_, err := e.RebuildAll(ctx, w.all, nil)
			cancel()
			if err == nil && stop < 0 && !killed {
				t.Errorf("a rebuild that was cancelled ended")
			}
		}
		for _, p := range w.all {
			if rapid.Bool().Draw(t, "live") {
				w.live(p, int64(size.Draw(t, "batch")))
			}
		}
		w.projector.Pace(size.Draw(t, "page"), rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "save"), time.Now)
		done := w.rebuildAllWhenFree()
		for _, d := range done {
			resumed += int(min(d.Resumed, 1))
			p := w.all[slices.IndexFunc(w.all, func(p *projections.Projection) bool { return p.Name == d.Projection })]
			if want := w.folded(p, d.Position, time.Time{}).Digest(); d.Digest != want || d.Compared && !d.Same {
				t.Errorf("rebuilt %+v, want %s", d, want)
			}
		}
		for _, p := range w.all {
			if got := w.verified(p); got != want[p.Name] {
				t.Errorf("%s: verified %s, want %s", p.Name, got, want[p.Name])
			}
		}
	})
	if resumed == 0 {
		t.Error("no rebuild went on where another was interrupted")
	}
}

// kill ends every connection of the projector's role, as a server does that is
// ended, in the middle of whatever they do.
func kill(t *testing.T, owner *sql.DB) {
	t.Helper()
	_, err := owner.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'record_send|COPY|rebuild|TRUNCATE'`)
	if err != nil {
		t.Error(err)
	}
}

// live folds what is new into the live tables of p, a batch at a time.
func (w *world) live(p *projections.Projection, size int64) {
	w.t.Helper()
	ctx := w.t.Context()
	for head := int64(len(w.log)); w.position(p) < head; {
		after := w.position(p)
		upTo := min(after+size, head)
		tx, err := w.db.BeginTx(ctx, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, `SELECT FROM cursor WHERE follower = $1 FOR UPDATE`, postgres.Follower(p)); err != nil {
			w.t.Fatal(err)
		}
		if err := w.projector.Apply(ctx, tx, p, after, upTo); err != nil {
			w.t.Fatal(err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE cursor SET position = $2 WHERE follower = $1`, postgres.Follower(p), upTo); err != nil {
			w.t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// rebuildAllWhenFree rebuilds all projections as soon as the backends of an earlier
// rebuild, whose connections were cut, have noticed.
func (w *world) rebuildAllWhenFree() []postgres.Rebuilt {
	w.t.Helper()
	for {
		done, err := w.projector.RebuildAll(w.t.Context(), w.all, nil)
		if domain.CodeOf(err) == domain.Unavailable || domain.CodeOf(err) == domain.Unreachable {
			continue
		}
		if err != nil || len(done) != len(w.all) {
			w.t.Fatalf("%d of %d rebuilt: %v", len(done), len(w.all), err)
		}
		return done
	}
}

// interrupted leaves behind a rebuild that was cancelled after some pages of one
// record, with all of them saved.
func (w *world) interrupted(pages int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	now := time.Now()
	w.projector.Pace(1, time.Nanosecond, func() time.Time { now = now.Add(time.Second); return now })
	_, err := w.projector.RebuildAll(ctx, w.all, func(done, _ int64) {
		if done == int64(pages) {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		w.t.Fatalf("not interrupted: %v", err)
	}
	w.projector.Pace(256, time.Hour, time.Now)
}

// TestRebuildGoesOn interrupts a rebuild and changes what it left behind, or what it
// was made from: it is gone on with only if both are as they were.
func TestRebuildGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		change string
		resume bool
	}{
		"nothing changed": {`SELECT 1`, true},
		"another root":    {`UPDATE shelf_next.rebuild SET root = '\x00'`, false},
		"another version": {`UPDATE shelf_next.rebuild SET declared = '2 ' || declared`, false},
		"rows are gone":   {`DELETE FROM shelf_next.moves WHERE position = 3`, false},
		"no position":     {`DELETE FROM shelf_next.rebuild`, false},
		"no sums":         {`UPDATE shelf_next.rebuild SET journals = '{}'`, false},
		"no mark":         {`DROP TABLE shelf_next.rebuild`, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := shelf()
			w := newWorld(t, p)
			w.reports(30)
			w.catchUp(p)
			before := w.answer(p)
			w.interrupted(28)
			if after := w.answer(p); after != before {
				t.Errorf("a rebuild that was interrupted changed what is answered:\n%s\nbefore\n%s", after, before)
			}
			w.exec(tt.change)
			w.reports(5)
			done := w.rebuildAllWhenFree()[0]
			if (done.Resumed > 0) != tt.resume || done.Rows["moves"] != 30 || done.Position != 30 || !done.Same || w.position(p) != 35 {
				t.Errorf("%+v", done)
			}
			w.verified(p)
			var left string
			if err := w.db.QueryRowContext(t.Context(), `SELECT coalesce(string_agg(nspname || '.' || relname, ' '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
				WHERE nspname LIKE 'shelf\_%' OR nspname = 'shelf' AND relname = 'rebuild'`).Scan(&left); err != nil || left != "" {
				t.Errorf("left behind: %s, %v", left, err)
			}
		})
	}
}

// TestSwapWaits has somebody read the old tables for so long that more is appended
// meanwhile than one COPY takes: the swap follows, and ends once they are done.
func TestSwapWaits(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(5)
	w.catchUp(p)
	reader, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	if _, err := reader.ExecContext(t.Context(), `SELECT FROM shelf.moves`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := w.projector.RebuildAll(ctx, w.all, nil)
		ended <- err
	}()
	for waits := false; !waits; {
		if err := w.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'shelf.moves'::regclass)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	d := report(100, "", 0)
	d.Facts = nil
	for i := range 2500 {
		d.Facts = append(d.Facts, domain.Fact{Event: domain.CreditsReported{Line: strings.Repeat("x", 250) + strconv.Itoa(i%7), Template: "318", Remaining: decimal.NewFromInt(int64(i))}})
	}
	w.append(d)
	// It makes a pause, and then follows before it tries again.
	for folded := 0; folded < 2000; {
		if err := w.db.QueryRowContext(ctx, `SELECT count(*) FROM shelf_next.moves`).Scan(&folded); err != nil {
			t.Fatal(err)
		}
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.catchUp(p)
	w.read()
	if got, want := w.verified(p), w.folded(p, int64(len(w.log)), time.Time{}).Digest(); got != want {
		t.Errorf("verified %s, want %s", got, want)
	}
}

// TestRebuildOthers rebuilds several projections of which one cannot take a record:
// the others are rebuilt, and it stays as it is.
func TestRebuildOthers(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	bad := w.all[len(w.all)-1]
	w.reports(5)
	w.append(report(100, "bad", 1))
	w.reports(3)
	w.catchUp(w.all[:len(w.all)-1]...)
	done, err := w.projector.RebuildAll(t.Context(), w.all, nil)
	if domain.CodeOf(err) != domain.Differs || !errors.Is(err, errShelf) || domain.HintOf(err) == "" {
		t.Errorf("error %v", err)
	}
	if len(done) != len(w.all)-1 || slices.ContainsFunc(done, func(d postgres.Rebuilt) bool { return d.Projection == bad.Name || !d.Same }) {
		t.Errorf("%+v", done)
	}
	for _, p := range w.all[:len(w.all)-1] {
		w.verified(p)
	}
}

// TestPreview says what a rebuild would change, and changes nothing.
func TestPreview(t *testing.T) {
	p := shelf()
	w := newWorld(t, append(realProjections(), p)...)
	w.random(20)
	w.reports(10)
	w.read()
	w.catchUp(w.all...)
	head := int64(len(w.log))
	asOf := w.log[head/2].RecordedAt
	for _, past := range []postgres.Past{{}, {To: head / 2}, {To: head}, {AsOf: asOf}, {To: head / 2, AsOf: asOf}} {
		w.projector.Pace(7, time.Hour, time.Now)
		list, err := w.projector.Preview(t.Context(), w.all, past, nil)
		if err != nil || len(list) != len(w.all) {
			t.Fatalf("%+v: %d previews, %v", past, len(list), err)
		}
		for i, got := range list {
			to := head
			if past.To > 0 {
				to = past.To
			}
			m, live := w.folded(w.all[i], to, past.AsOf), w.folded(w.all[i], head, time.Time{})
			if got.Projection != w.all[i].Name || got.To != to || got.Position != head || got.Digest != m.Digest() || got.Live != live.Digest() {
				t.Errorf("%+v: %s to %d at %d: %s, live %s, want %s, live %s", past, got.Projection, got.To, got.Position, got.Digest, got.Live, m.Digest(), live.Digest())
			}
			if changes := len(got.Differences) + got.More; changes != differing(m, live) {
				t.Errorf("%+v: %s: %d rows would change, want %d", past, got.Projection, changes, differing(m, live))
			}
		}
	}
	if _, err := w.projector.Preview(t.Context(), w.all, postgres.Past{To: head + 1}, nil); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("beyond the end: %v", err)
	}
	w.exec(`UPDATE shelf.lines SET changes = 77 WHERE line = '3'`)
	list, err := w.projector.Preview(t.Context(), []*projections.Projection{p}, postgres.Past{}, nil)
	if err != nil || len(list) != 1 || len(list[0].Differences) == 0 || !strings.Contains(list[0].Differences[0].String(), `changes is "77"`) {
		t.Errorf("%+v, %v", list, err)
	}
}

// folded folds the log that was read up to a position, without what had not happened
// by a moment, if that is not zero.
func (w *world) folded(p *projections.Projection, to int64, asOf time.Time) *projections.Memory {
	w.t.Helper()
	m := projections.NewMemory(p)
	for _, r := range w.log[:to] {
		if !asOf.IsZero() && r.EffectiveAt().After(asOf) {
			continue
		}
		if err := m.Fold(r); err != nil {
			w.t.Fatal(err)
		}
	}
	return m
}

// differing counts the rows that two sets of tables do not have in common.
func differing(a, b *projections.Memory) (n int) {
	for _, t := range a.Projection().Tables {
		rows := func(m *projections.Memory) map[string]string {
			all := make(map[string]string)
			for row := range m.Rows(t) {
				cells := t.Cells(row)
				all[fmt.Sprint(cells[:t.KeyColumns()])] = fmt.Sprint(cells)
			}
			return all
		}
		one, other := rows(a), rows(b)
		for _, key := range slices.Sorted(maps.Keys(one)) {
			if other[key] != one[key] {
				n++
			}
			delete(other, key)
		}
		n += len(other)
	}
	return n
}
