package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// verified checks that p's live tables are what folding the log in memory gives
// and returns their digest.
func (w *world) verified(p *projections.Projection) string {
	w.t.Helper()
	v, err := w.projector.Verify(w.t.Context(), p, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if v.Live != v.Digest || len(v.Differences) > 0 {
		w.t.Errorf("%s: live %s, the log gives %s at %d: %v", p.Name, v.Live, v.Digest, v.Position, v.Differences)
	}
	w.read()
	m := projections.NewMemory(p)
	for _, r := range w.log[:v.Position] {
		if err := m.Fold(r); err != nil {
			w.t.Fatal(err)
		}
	}
	if m.Digest() != v.Digest {
		w.t.Errorf("%s: verify says %s, the log gives %s", p.Name, v.Digest, m.Digest())
	}
	return v.Digest
}

// TestCatchUp folds a log in several steps, some of them empty, and rebuilds
// it: live and rebuilt are the same, byte for byte, for every projection.
func TestCatchUp(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	for step, n := range []int{0, 1, 30, 0, 50} {
		w.random(n)
		for i, p := range w.all {
			if step == 2 && i%2 == 0 {
				continue // this one is behind, and has more to do the next time
			}
			var progress [2]int64
			position, err := w.projector.CatchUp(t.Context(), p, func(done, total int64) { progress = [2]int64{done, total} })
			if err != nil {
				t.Fatal(err)
			}
			if want := w.position(p); position != want || progress != [2]int64{want, want} {
				t.Errorf("%s reached %d, says %v, its cursor is at %d", p.Name, position, progress, want)
			}
		}
	}
	for _, p := range w.all {
		live := w.verified(p)
		for range 2 {
			done, err := w.projector.Rebuild(t.Context(), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !done.Compared || !done.Same || done.Digest != live || done.Position != int64(len(w.log)) {
				t.Errorf("%s: rebuilt %+v, live %s", p.Name, done, live)
			}
		}
		if again := w.verified(p); again != live {
			t.Errorf("%s: swapped in %s, want %s", p.Name, again, live)
		}
	}
	// A second process finds everything as it is.
	if err := postgres.NewProjector(w.db, w.all).Setup(t.Context()); err != nil {
		t.Errorf("set up again: %v", err)
	}
	w.random(10)
	w.catchUp(w.all...)
	for _, p := range w.all {
		w.verified(p)
	}
}

// TestRebuildBehind rebuilds tables that are behind the log, or were changed.
func TestRebuildBehind(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(20)
	done, err := w.projector.Rebuild(t.Context(), p, nil)
	if err != nil || done.Compared || done.Position != 20 || done.Rows["moves"] != 20 || w.position(p) != 20 {
		t.Errorf("rebuilt %+v, %v, cursor at %d", done, err, w.position(p))
	}
	w.exec(`UPDATE shelf.lines SET changes = changes + 1 WHERE line = '3'`)
	done, err = w.projector.Rebuild(t.Context(), p, nil)
	if err != nil || !done.Compared || done.Same {
		t.Errorf("rebuilt %+v, %v", done, err)
	}
	w.verified(p)
	var schemas string
	if err := w.db.QueryRowContext(t.Context(), `SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'shelf%'`).Scan(&schemas); err != nil || schemas != "shelf" {
		t.Errorf("schemas left: %s, %v", schemas, err)
	}
}

func (w *world) exec(statement string) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.t.Context(), statement); err != nil {
		w.t.Fatal(err)
	}
}

// TestRebuildWhileAppending rebuilds again and again while others append, fold
// and ask. No reader ever sees an error, a gap, or rows of another position
// than the answer says.
func TestRebuildWhileAppending(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(10)
	w.catchUp(p)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	until := func(f func(i int) error) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := f(i); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	// As many as there is work for: every rebuild reads all of them again.
	until(func(i int) error {
		if i >= 3000 {
			<-ctx.Done()
			return nil
		}
		d := report(1000+i, strconv.Itoa(i%7), int64(i%11))
		_, err := w.appender.Append(ctx, d)
		return err
	})
	// The tables are behind the log more often than not, so that most swaps
	// move the cursor.
	until(func(i int) error {
		if i%3 > 0 {
			return w.readers(ctx, p, 1)
		}
		_, err := w.projector.CatchUp(ctx, p, nil)
		return err
	})
	for range 2 {
		until(func(int) error { return w.readers(ctx, p, 1) })
	}
	for range 15 {
		done, err := w.projector.Rebuild(t.Context(), p, nil)
		if err != nil {
			t.Error(err)
			break
		}
		if done.Compared && !done.Same {
			t.Errorf("rebuilt %+v", done)
		}
	}
	cancel()
	wg.Wait()
	w.catchUp(p)
	v, err := w.projector.Verify(t.Context(), p, nil)
	if err != nil || v.Live != v.Digest {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestRebuildWaits rebuilds while somebody reads the old tables for a long time:
// the swap waits for him, and nobody else waits for the swap.
func TestRebuildWaits(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(10)
	w.catchUp(p)
	long, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Rollback()
	var n int
	if err := long.QueryRowContext(t.Context(), `SELECT count(*) FROM shelf.lines`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := w.projector.Rebuild(t.Context(), p, nil)
		done <- err
	}()
	owner := postgrestest.Open(t, w.url, postgres.RoleOwner) // who sees what the others do
	for waits := false; !waits; {
		err := owner.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LOCK TABLE%' AND wait_event_type = 'Lock')`).Scan(&waits)
		if err != nil || len(done) > 0 {
			t.Fatalf("the rebuild did not wait: %v", err)
		}
	}
	if err := w.readers(t.Context(), p, 10); err != nil {
		t.Error(err)
	}
	w.reports(3)
	w.catchUp(p)
	select {
	case err := <-done:
		t.Errorf("the rebuild did not wait: %v", err)
	default:
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.verified(p)
}

// readers asks for all rows n times. Every record of such a log is one move and
// one change, so their number must be the position that the answer names.
func (w *world) readers(ctx context.Context, p *projections.Projection, n int) error {
	for range n {
		for _, name := range []string{"moves", "lines"} {
			v, _ := p.View(name)
			a, err := w.projector.Ask(ctx, p, v, projections.Query{})
			if err != nil {
				return fmt.Errorf("shelf/%s: %w", name, err)
			}
			sum := int64(len(a.Rows))
			if name == "lines" {
				sum = 0
				for _, row := range a.Rows {
					changes, err := strconv.ParseInt(row[4].Text, 10, 64)
					if err != nil {
						return err
					}
					sum += changes
				}
			}
			if sum != a.Known {
				return fmt.Errorf("shelf/%s shows %d records and says that it knows %d", name, sum, a.Known)
			}
		}
	}
	return nil
}

// TestVerify changes, adds and removes rows behind the projector's back.
func TestVerify(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(21)
	w.random(10)
	w.catchUp(p)
	w.verified(p)
	var remaining string
	if err := w.db.QueryRowContext(t.Context(), `SELECT remaining FROM shelf.lines WHERE source = 'one' AND line = '3'`).Scan(&remaining); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE shelf.lines SET remaining = 12345.5, empty_since = NULL WHERE source = 'one' AND line = '3'`)
	w.exec(`INSERT INTO shelf.lines (source, line, remaining, changes, even) VALUES ('one', '30', 1, 1, false)`)
	w.exec(`DELETE FROM shelf.lines WHERE source = 'one' AND line = '4'`)
	w.exec(`DELETE FROM shelf.moves WHERE position = 1`)
	w.exec(`UPDATE shelf.moves SET before = NULL WHERE position = 21`)
	v, err := w.projector.Verify(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Live == v.Digest || v.Position != w.position(p) || v.More != 0 {
		t.Errorf("%+v", v)
	}
	var got []string
	for _, d := range v.Differences {
		got = append(got, d.String())
	}
	want := []string{
		`lines one/3: remaining is "12345.5", the log gives "` + remaining + `"`,
		`lines one/30: the row does not follow from the log`,
		`lines one/4: the row is missing`,
		`moves 1/1: the row is missing`,
		`moves 21/1: before is "", the log gives "4"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("differences:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// Of many, the first are listed and the others counted.
	w.exec(`INSERT INTO shelf.people (kind, person, name) SELECT 'user', 'x' || n, '' FROM generate_series(1, 150) n`)
	if v, err = w.projector.Verify(t.Context(), p, nil); err != nil || len(v.Differences) != 100 || v.More != 55 {
		t.Errorf("%d differences, %d more, %v", len(v.Differences), v.More, err)
	}
	if _, err := w.projector.Rebuild(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	w.verified(p)
}

// TestStop records what one projection cannot take.
func TestStop(t *testing.T) {
	p, other := shelf(), realProjections()[0]
	w := newWorld(t, p, other)
	w.reports(5)
	w.catchUp(p)
	w.reports(3)
	w.append(report(100, "bad", 1))
	w.reports(2)
	for range 2 { // trying again changes nothing
		position, err := w.projector.CatchUp(t.Context(), p, nil)
		if domain.CodeOf(err) != domain.Differs || !errors.Is(err, errShelf) || !strings.Contains(err.Error(), "record 9") || position != 8 {
			t.Errorf("reached %d: %v", position, err)
		}
		s := w.status(p)
		if s.Position != 8 || s.StoppedAt != 9 || s.Reason != errShelf.Error() || s.Head != 11 || s.Lag() != 3 || s.Version != 1 {
			t.Errorf("%+v", s)
		}
	}
	w.catchUp(other)
	if s := w.status(other); s.Position != 11 || s.StoppedAt != 0 || s.Reason != "" {
		t.Errorf("%+v", s)
	}
	w.verified(p)
	w.verified(other)

	// It answers about what it has seen, and says how far that goes.
	v, _ := p.View("moves")
	a, err := w.projector.Ask(t.Context(), p, v, projections.Query{})
	if err != nil || a.Known != 8 || len(a.Rows) != 8 {
		t.Errorf("known %d, %d rows, %v", a.Known, len(a.Rows), err)
	}
	if _, err := w.projector.Ask(t.Context(), p, v, projections.Query{Known: 10}); domain.CodeOf(err) != domain.Differs {
		t.Errorf("asked beyond the record: %v", err)
	}
	if _, err := w.projector.Rebuild(t.Context(), p, nil); domain.CodeOf(err) != domain.Differs {
		t.Errorf("rebuilt: %v", err)
	}
	if s := w.status(p); s.Position != 8 || s.StoppedAt != 9 {
		t.Errorf("after a rebuild that failed: %+v", s)
	}

	// Resume forgets it, Stop notes it again.
	if err := w.projector.Resume(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if s := w.status(p); s.StoppedAt != 0 || s.Reason != "" || s.Position != 8 {
		t.Errorf("resumed: %+v", s)
	}
	tx, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	fold := w.projector.Apply(t.Context(), tx, p, 8, 11)
	tx.Rollback()
	if err := w.projector.Stop(t.Context(), p, fmt.Errorf("live: %w", fold)); domain.CodeOf(err) != domain.Differs {
		t.Errorf("stopped: %v", err)
	}
	if s := w.status(p); s.StoppedAt != 9 || s.Position != 8 {
		t.Errorf("stopped: %+v", s)
	}
	if err := w.projector.Stop(t.Context(), p, sql.ErrConnDone); !errors.Is(err, sql.ErrConnDone) || domain.CodeOf(err) == domain.Differs {
		t.Errorf("stopped for something else: %v", err)
	}

	// A fold that can take it goes on from there.
	better := shelf()
	better.Fold = func(tx *projections.Tx, r *domain.Record) error {
		if err := foldShelf(tx, r); !errors.Is(err, errShelf) {
			return err
		}
		return nil
	}
	if err := w.projector.Resume(t.Context(), better); err != nil {
		t.Fatal(err)
	}
	w.catchUp(better)
	w.verified(better)
	if s := w.status(better); s.StoppedAt != 0 || s.Lag() != 0 {
		t.Errorf("went on: %+v", s)
	}
}

func (w *world) status(p *projections.Projection) postgres.ProjectionStatus {
	w.t.Helper()
	list, err := w.projector.List(w.t.Context())
	if err != nil || len(list) != len(w.all) {
		w.t.Fatalf("%+v, %v", list, err)
	}
	i := slices.IndexFunc(list, func(s postgres.ProjectionStatus) bool { return s.Name == p.Name })
	return list[i]
}

// TestList asks about a projection that was never set up.
func TestList(t *testing.T) {
	p := shelf()
	url := postgrestest.URL(t)
	projector := postgres.NewProjector(postgrestest.Open(t, url, postgres.RoleProjector), []*projections.Projection{p})
	list, err := projector.List(t.Context())
	if err != nil || len(list) != 1 || list[0] != (postgres.ProjectionStatus{Name: "shelf", Code: 1}) {
		t.Errorf("%+v, %v", list, err)
	}
	for what, f := range map[string]func() error{
		"verify":  func() error { _, err := projector.Verify(t.Context(), p, nil); return err },
		"rebuild": func() error { _, err := projector.Rebuild(t.Context(), p, nil); return err },
	} {
		if err := f(); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRebuildTwice rebuilds while a rebuild is under way: the second is told to
// wait, whoever runs it.
func TestRebuildTwice(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(5)
	elsewhere := postgres.NewProjector(postgrestest.Open(t, w.url, postgres.RoleProjector), w.all)
	busy := 0
	_, err := w.projector.Rebuild(t.Context(), p, func(int64, int64) {
		for _, e := range []*postgres.Projector{w.projector, elsewhere} {
			if _, err := e.Rebuild(t.Context(), p, nil); domain.CodeOf(err) != domain.Unavailable || domain.HintOf(err) == "" {
				t.Errorf("second rebuild: %v", err)
			}
			if _, err := e.Verify(t.Context(), p, nil); domain.CodeOf(err) != domain.Unavailable {
				t.Errorf("verified meanwhile: %v", err)
			}
			busy++
		}
	})
	if err != nil || busy != 2 {
		t.Errorf("first rebuild: %v, %d others tried", err, busy)
	}
	if _, err := elsewhere.Rebuild(t.Context(), p, nil); err != nil {
		t.Errorf("after it: %v", err)
	}
	w.verified(p)
}

// TestRebuildInterrupted cancels a rebuild at its start and while it writes, and
// runs it again.
func TestRebuildInterrupted(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(30)
	w.catchUp(p)
	w.exec(`UPDATE shelf.lines SET changes = 0`)
	before := w.answer(p)
	// What a killed process leaves behind must not be in the way.
	w.exec(`CREATE SCHEMA shelf_next; CREATE TABLE shelf_next.lines (); CREATE SCHEMA shelf_old`)
	if _, err := w.projector.Rebuild(t.Context(), p, nil); domain.CodeOf(err) != domain.Refused {
		t.Errorf("dropped what may be somebody else's: %v", err)
	}
	for _, schema := range []string{"shelf_next", "shelf_old"} {
		w.exec(`COMMENT ON SCHEMA ` + schema + ` IS 'tables of a daybook projection; derived from the log and rebuilt at will'`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := w.projector.Rebuild(ctx, p, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if again := w.answer(p); again != before {
		t.Errorf("after it was cancelled:\n%s\nbefore\n%s", again, before)
	}
	w.rebuildWhenFree(p)
	w.verified(p)
}

// rebuildWhenFree rebuilds p as soon as the backend of an earlier rebuild, whose
// connection was cut, has noticed.
func (w *world) rebuildWhenFree(p *projections.Projection) {
	w.t.Helper()
	for {
		_, err := w.projector.Rebuild(w.t.Context(), p, nil)
		if domain.CodeOf(err) == domain.Unavailable && w.t.Context().Err() == nil {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return
	}
}

// answer returns all rows of p's views as they are shown.
func (w *world) answer(p *projections.Projection) string {
	w.t.Helper()
	var all strings.Builder
	for _, v := range p.Views {
		a, err := w.projector.Ask(w.t.Context(), p, v, projections.Query{})
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintln(&all, v.Name, a.Known, a.Rows)
	}
	return all.String()
}

// TestVersion raises a projection's version: once the fold alone changes, once
// columns and tables come and go, too. The old tables answer until the new ones are there.
func TestVersion(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(30)
	w.catchUp(p)
	before := w.answer(p)

	second := shelf()
	second.Version = 2
	second.Fold = func(tx *projections.Tx, r *domain.Record) error {
		if r.Position%2 == 0 {
			return nil
		}
		return foldShelf(tx, r)
	}
	third := shelf()
	third.Version = 3
	wider := projections.NewKeyed("lines", 2,
		projections.Text("source", func(r *shelfLine) *string { return &r.source }),
		projections.Text("line", func(r *shelfLine) *string { return &r.line }),
		projections.Integer("count", func(r *shelfLine) *int64 { return &r.changes }),
	)
	more := projections.NewJournal("more", projections.Text("line", func(r *shelfLine) *string { return &r.line }))
	third.Tables = []projections.Table{wider, more}
	third.Views = []projections.View{
		projections.NewView("lines", "Lines", wider, "line", "count"), projections.NewView("more", "More", more, "position", "line"),
	}
	third.Fold = func(tx *projections.Tx, r *domain.Record) error {
		line := r.Event.(domain.CreditsReported).Line
		row, _ := wider.Get(tx, r.Source, line)
		wider.Put(tx, shelfLine{source: r.Source, line: line, changes: row.changes + 1})
		more.Append(tx, shelfLine{line: line})
		return nil
	}

	for _, p := range []*projections.Projection{second, third} {
		w.all = []*projections.Projection{p}
		w.projector = postgres.NewProjector(w.db, w.all)
		if err := w.projector.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.status(p); s.Version != p.Version-1 || s.Code != p.Version {
			t.Errorf("version %d: %+v", p.Version, s)
		}
		if _, err := w.projector.Verify(t.Context(), p, nil); domain.CodeOf(err) != domain.Refused {
			t.Errorf("verified tables of another version: %v", err)
		}
		shown := w.answer(p)
		if p == second && shown != before {
			t.Errorf("version 2 shows, before it is built,\n%s\nwant\n%s", shown, before)
		}
		for _, want := range []bool{true, false} {
			if upgraded, err := w.projector.Upgrade(t.Context(), p, nil); err != nil || upgraded != want {
				t.Errorf("version %d: upgraded %v, %v, want %v", p.Version, upgraded, err, want)
			}
		}
		w.verified(p)
		// What version 2 had no column for was answered by folding.
		if after := w.answer(p); (after == shown) != (p == third) {
			t.Errorf("version %d shows, once it is built,\n%s", p.Version, after)
		}
	}
	w.reports(5)
	w.catchUp(third)
	w.verified(third)
}

// TestCatchUpTogether lets several processes fold the same projection.
func TestCatchUpTogether(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for w.t.Context().Err() == nil {
				position, err := w.projector.CatchUp(t.Context(), p, nil)
				if err != nil {
					t.Error(err)
				}
				if err != nil || position >= 60 {
					return
				}
			}
		})
	}
	w.reports(60)
	wg.Wait()
	w.verified(p)
}
