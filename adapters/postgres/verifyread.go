package postgres

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"runtime"
	"sync"

	"github.com/lib/pq"
)

// AuditConns is how many connections verifying the log takes at once.
const AuditConns = 4

// A logSnapshot is several transactions that see the same state of the database,
// so that its tables can be read at the same time.
type logSnapshot struct {
	small, records, deliveries, scopes *sql.Tx
	keep                               bool // batches keep what they have read
}

// openLog begins the transactions. They only read.
func openLog(ctx context.Context, db *sql.DB) (s *logSnapshot, err error) {
	s = new(logSnapshot)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	var id string
	for _, into := range []**sql.Tx{&s.small, &s.records, &s.deliveries, &s.scopes} {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return s, err
		}
		*into = tx
		if id == "" {
			err = tx.QueryRowContext(ctx, `SELECT pg_export_snapshot()`).Scan(&id)
		} else {
			_, err = tx.ExecContext(ctx, `SET TRANSACTION SNAPSHOT `+pq.QuoteLiteral(id))
		}
		if err != nil {
			return s, err
		}
		// Tables are read in the order of an index, whatever was analysed; and the
		// first transaction waits while the others read.
		if _, err := tx.ExecContext(ctx, `SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
			set_config('jit', 'off', true), set_config('idle_in_transaction_session_timeout', '0', true)`); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Close ends the transactions.
func (s *logSnapshot) Close() error {
	var errs []error
	for _, tx := range []*sql.Tx{s.small, s.records, s.deliveries, s.scopes} {
		if tx != nil {
			errs = append(errs, rollback(tx))
		}
	}
	return errors.Join(errs...)
}

// A rawRow is a row as the server sends it: its columns in the binary form of a
// composite, which costs least to write there and to read here, and shows every
// byte of every column.
type rawRow struct {
	position int64
	columns  []byte
}

// Queries for the rows from position $1 to $2.
const (
	recordRows = `SELECT position, record_send(ROW(id, kind, source, occurred_at, recorded_at, delivery, cause, test, data, personal, leaf, root))
		FROM log WHERE position BETWEEN $1 AND $2 ORDER BY position`
	deliveryRows = `SELECT position, record_send(ROW(records, id, source, topic, status, test, flags, verified, received_at, cause, fetched, replay, key, body_mac, header, body))
		FROM delivery WHERE position BETWEEN $1 AND $2 ORDER BY position`
	scopeRows = `SELECT position, record_send(ROW(source, scope))
		FROM delivery_scope WHERE position BETWEEN $1 AND $2 ORDER BY position, scope COLLATE "C"`
	// leafRows has the leaves alone: of records whose bytes are not looked at.
	leafRows = `SELECT position, leaf FROM log WHERE position BETWEEN $1 AND $2 ORDER BY position`
)

// A page of rows is handed from goroutine to goroutine.
const (
	pageRows  = 1000
	pageBytes = 1 << 20
)

// readRows yields what a query gives, as the server sends it: nothing is kept.
func readRows(ctx context.Context, tx *sql.Tx, query string, from, to int64) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		rows, err := tx.QueryContext(ctx, query, from, to)
		if err != nil {
			yield(rawRow{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r rawRow
			err := rows.Scan(&r.position, &r.columns)
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(rawRow{}, err)
		}
	}
}

// ahead yields what rows yields, which is read by a goroutine of wg, up to two
// pages ahead, until ctx is done.
func ahead(ctx context.Context, wg *sync.WaitGroup, rows iter.Seq2[rawRow, error]) iter.Seq2[rawRow, error] {
	type page struct {
		rows []rawRow
		err  error
	}
	pages := make(chan page, 2)
	wg.Go(func() {
		defer close(pages)
		var p page
		size := 0
		send := func() bool {
			select {
			case pages <- p:
				p, size = page{rows: make([]rawRow, 0, pageRows)}, 0
				return true
			case <-ctx.Done():
				return false
			}
		}
		for r, err := range rows {
			if err != nil {
				p.err = err
				break
			}
			p.rows = append(p.rows, r)
			if size += len(r.columns); (len(p.rows) == pageRows || size >= pageBytes) && !send() {
				return
			}
		}
		send()
	})
	return func(yield func(rawRow, error) bool) {
		for p := range pages {
			for _, r := range p.rows {
				if !yield(r, nil) {
					return
				}
			}
			if p.err != nil {
				yield(rawRow{}, p.err)
				return
			}
		}
		if ctx.Err() != nil { // pages may be missing
			yield(rawRow{}, context.Cause(ctx))
		}
	}
}

// A logBatch is some records with the deliveries that they came with, and their
// scopes. What the first record belongs to may have begun in the batch before: it
// is there again, and begun says so.
type logBatch struct {
	records, deliveries, scopes []rawRow
	begun                       bool
	keep                        bool
	size                        int

	done chan struct{} // closed when the batch is hashed
	hashed
}

// full reports whether the batch has to be handed on.
func (b *logBatch) full() bool { return len(b.records) >= 2*pageRows || b.size >= 4*pageBytes }

func (b *logBatch) add(list *[]rawRow, r rawRow) {
	*list = append(*list, r)
	b.size += len(r.columns)
}

// batches reads the range and yields its batches, hashed, in order. It works ahead on
// all cores, in goroutines that end before the iteration does.
func (s *logSnapshot) batches(ctx context.Context, from, to int64) iter.Seq2[*logBatch, error] {
	return func(yield func(*logBatch, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()

		workers := runtime.GOMAXPROCS(0)
		work, ordered := make(chan *logBatch, workers), make(chan *logBatch, 2*workers)
		for range workers {
			wg.Go(func() {
				for b := range work {
					b.hash()
					close(b.done)
				}
			})
		}
		var failed error
		wg.Go(func() {
			defer close(ordered)
			defer close(work)
			failed = s.join(ctx, &wg, from, to, func(b *logBatch) bool {
				for _, to := range []chan *logBatch{work, ordered} {
					select {
					case to <- b:
					case <-ctx.Done():
						return false
					}
				}
				return true
			})
		})
		for b := range ordered {
			<-b.done
			if !yield(b, nil) {
				return
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// join reads the three tables side by side and puts together what belongs
// together. It ends when emit says so.
func (s *logSnapshot) join(ctx context.Context, wg *sync.WaitGroup, from, to int64, emit func(*logBatch) bool) error {
	// The record at from may be in the middle of its delivery.
	var first sql.NullInt64
	if err := s.small.QueryRowContext(ctx, `SELECT max(position) FROM delivery WHERE position <= $1`, from).Scan(&first); err != nil {
		return err
	}
	start := from
	if first.Valid && first.Int64 > 0 {
		start = first.Int64
	}
	j := &joint{
		deliveries: newCursor(ahead(ctx, wg, readRows(ctx, s.deliveries, deliveryRows, start, to))),
		scopes:     newCursor(ahead(ctx, wg, readRows(ctx, s.scopes, scopeRows, start, to))),
		emit:       emit, batch: &logBatch{keep: s.keep, done: make(chan struct{})},
	}
	defer j.deliveries.stop()
	defer j.scopes.stop()
	for r, err := range ahead(ctx, wg, readRows(ctx, s.records, recordRows, from, to)) {
		if err != nil {
			return err
		}
		if j.batch.full() && !j.next() || !j.upTo(r.position) {
			return errors.Join(j.deliveries.err, j.scopes.err)
		}
		j.batch.add(&j.batch.records, r)
	}
	if j.upTo(to) {
		for ; j.scopes.ok; j.scopes.advance() {
			j.batch.add(&j.batch.scopes, j.scopes.row)
		}
		emit(j.batch)
	}
	return errors.Join(j.deliveries.err, j.scopes.err)
}

// A joint puts deliveries and scopes to the records that they belong to.
type joint struct {
	deliveries, scopes *cursor
	batch              *logBatch // that is being filled
	emit               func(*logBatch) bool
}

// next hands the batch on and begins another. It reports whether to go on.
func (j *joint) next() bool {
	last := j.batch
	j.batch = &logBatch{keep: last.keep, done: make(chan struct{})}
	// What was handed on is not ours any more.
	if n := len(last.deliveries); n > 0 {
		j.batch.begun = true
		j.batch.deliveries = append(j.batch.deliveries, last.deliveries[n-1])
		for _, r := range last.scopes {
			if r.position == j.batch.deliveries[0].position {
				j.batch.scopes = append(j.batch.scopes, r)
			}
		}
	}
	return j.emit(last)
}

// upTo adds the deliveries up to a position, and their scopes. It reports whether
// to go on.
func (j *joint) upTo(position int64) bool {
	for j.deliveries.ok && j.deliveries.row.position <= position {
		at := j.deliveries.row.position
		if j.batch.full() && len(j.batch.records) == 0 && !j.next() {
			return false
		}
		j.batch.add(&j.batch.deliveries, j.deliveries.row)
		j.deliveries.advance()
		for ; j.scopes.ok && j.scopes.row.position <= at; j.scopes.advance() {
			j.batch.add(&j.batch.scopes, j.scopes.row)
		}
	}
	return j.deliveries.err == nil && j.scopes.err == nil
}

// A cursor is a place in some rows.
type cursor struct {
	row  rawRow
	ok   bool // there is a row
	err  error
	next func() (rawRow, error, bool)
	stop func()
}

func newCursor(rows iter.Seq2[rawRow, error]) *cursor {
	c := new(cursor)
	c.next, c.stop = iter.Pull2(rows)
	c.advance()
	return c
}

func (c *cursor) advance() {
	if c.row, c.err, c.ok = c.next(); c.err != nil {
		c.ok = false
	}
}
