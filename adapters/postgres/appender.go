package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

var (
	//go:embed append.sql
	appendSQL string
	//go:embed lookup.sql
	lookupSQL string
)

// Limits of one batch and of the queue before it.
const (
	maxBatch      = 256     // deliveries
	maxBatchBytes = 4 << 20 // of bodies
	queueLength   = 1024    // deliveries that may wait
	appendTimeout = 5 * time.Second
	lostRaces     = 3 // before the head is locked instead of swapped
)

// An Appender writes the log. Callers hand it deliveries and wait; one goroutine
// takes whatever is waiting and commits it as one batch, so that many callers
// share a commit and one caller waits for no timer.
//
// A batch is one statement that compares and swaps the head of the log. As long
// as nobody else appends and nothing is repeated it is one round trip: where the
// log ends is known from the batch before, and the statement itself refuses to
// append what may be a repetition. Otherwise the head and the deliveries in
// question are looked up first. Whoever loses the race three times locks the
// head for one batch.
type Appender struct {
	db    *sql.DB
	keys  *Keyring
	queue chan *prepared
	done  chan struct{} // closed when Run returns
	stats struct{ batches, records, retries atomic.Int64 }
	halt  atomic.Pointer[error] // why nothing is appended; nil: it is

	// What follows belongs to the goroutine in Run.
	conn   *sql.Conn
	append *sql.Stmt
	lookup *sql.Stmt
	head   *head // nil: has to be looked up
	rows   *params
}

// NewAppender returns an appender to the log in db, which must be a pool for the
// role [RoleWriter] with at least one connection to spare. What is personal is
// sealed with keys. Nothing is appended until Run runs.
func NewAppender(db *sql.DB, keys *Keyring) *Appender {
	return &Appender{db: db, keys: keys, queue: make(chan *prepared, queueLength), done: make(chan struct{}), rows: newParams()}
}

// Stats says how much has been appended since the start, and how many deliveries
// wait, of as many as may.
type Stats struct{ Batches, Records, Retries, Waiting, MayWait int64 }

// Stats returns what has been done so far.
func (a *Appender) Stats() Stats {
	return Stats{a.stats.batches.Load(), a.stats.records.Load(), a.stats.retries.Load(), int64(len(a.queue)), int64(cap(a.queue))}
}

// Halt has everything that is handed over from now on refused, with code
// Unavailable, because of reason; nil has it appended again.
func (a *Appender) Halt(reason error) {
	if reason == nil {
		a.halt.Store(nil)
		return
	}
	a.halt.Store(&reason)
}

// halted returns the error of a delivery that is handed over while nothing is
// appended, nil if it is.
func (a *Appender) halted() error {
	reason := a.halt.Load()
	if reason == nil {
		return nil
	}
	return domain.Errorf(domain.Unavailable, "append", "the log is read-only: %w", *reason).
		WithHint("The log is read-only until an operator has looked at it. Send the same delivery again later.")
}

// Append records d and returns when it is committed, or was found to be there
// already. An error with code Invalid says that one of its facts is not well
// formed: nothing was recorded. An error with code Unavailable says that it may
// or may not have been recorded: appending the same delivery again is safe and
// tells which.
func (a *Appender) Append(ctx context.Context, d domain.Delivery) (domain.Receipt, error) {
	if err := a.halted(); err != nil {
		return domain.Receipt{}, err
	}
	p, err := prepare(ctx, a.keys, d)
	if err != nil {
		return domain.Receipt{}, err
	}
	select {
	case a.queue <- p:
	case <-a.done:
		return domain.Receipt{}, unavailable(errors.New("the appender has stopped"))
	default:
		return domain.Receipt{}, unavailable(fmt.Errorf("%d deliveries are waiting already", queueLength))
	}
	select {
	case ans := <-p.answer:
		return ans.receipt, ans.err
	case <-ctx.Done():
		return domain.Receipt{}, unavailable(context.Cause(ctx))
	case <-a.done:
		// Run answers before it ends; an answer may be there along with done.
		select {
		case ans := <-p.answer:
			return ans.receipt, ans.err
		default:
			return domain.Receipt{}, unavailable(errors.New("the appender has stopped"))
		}
	}
}

func unavailable(err error) error {
	return domain.Errorf(domain.Unavailable, "append", "%w", err).
		WithHint("Send the same delivery again; if it was recorded, the answer says so.")
}

// Run appends what callers hand over until ctx is done. It must be called once.
func (a *Appender) Run(ctx context.Context) error {
	defer close(a.done)
	defer a.disconnect()
	crowd := 1
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-a.queue:
			batch := a.drain(first, crowd > 1)
			crowd = len(batch)
			// A batch once begun is finished: its callers are waiting.
			a.commit(context.WithoutCancel(ctx), batch)
		}
	}
}

// drain returns first and what else is waiting. After a crowded batch it gives
// way a few times, so that callers just answered can come back with their next
// delivery and share the commit; it never waits on a timer.
func (a *Appender) drain(first *prepared, crowded bool) []*prepared {
	batch, size := []*prepared{first}, len(first.Body)
	for yields := 0; len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case p := <-a.queue:
			batch, size = append(batch, p), size+len(p.Body)
			continue
		default:
		}
		if !crowded || yields == 20 {
			break
		}
		yields++
		runtime.Gosched()
	}
	return batch
}

// commit appends the batch and answers every caller in it. If the connection is
// lost the outcome is looked up by delivery id on a new one. If the server cannot
// write now, nobody can be helped. If the batch fails for another reason, each
// delivery is tried by itself, so that a bad one fails alone.
func (a *Appender) commit(ctx context.Context, batch []*prepared) {
	if err := a.halted(); err != nil { // since they were queued
		answerAll(batch, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	a.commitBatch(ctx, batch, false)
}

// commitBatch is commit for a batch of which an earlier attempt, if interrupted,
// may have succeeded unnoticed.
func (a *Appender) commitBatch(ctx context.Context, batch []*prepared, interrupted bool) {
	for {
		answers, err := a.try(ctx, batch, interrupted)
		switch {
		case err == nil:
			for i, p := range batch {
				p.answer <- answers[i]
			}
			a.stats.batches.Add(1)
			return
		case connectionLost(err) || ctx.Err() != nil:
			a.disconnect()
			interrupted = true
			if ctx.Err() == nil && pause(ctx, 50*time.Millisecond) {
				a.stats.retries.Add(1)
				continue
			}
			answerAll(batch, unavailable(unreachable(err)))
			return
		case serverRefuses(err):
			a.head = nil
			answerAll(batch, unavailable(err))
			return
		case keyRaced(err):
			// Somebody else has made the key of a new person just now.
			a.head = nil
			if err := a.reseal(ctx, batch); err != nil {
				answerAll(batch, unavailable(err))
				return
			}
			a.stats.retries.Add(1)
			continue
		case epochPassed(err):
			a.head = nil
			if err := a.rewrap(ctx, batch); err != nil {
				answerAll(batch, unavailable(err))
				return
			}
			a.stats.retries.Add(1)
			continue
		case len(batch) == 1:
			a.head = nil
			answerAll(batch, domain.Errorf(domain.CodeOf(err), "append", "%w", err))
			return
		}
		a.head = nil
		for _, p := range batch {
			a.commitBatch(ctx, []*prepared{p}, true) // reading the receipts may be what failed
		}
		return
	}
}

// reseal seals a batch again, with the keys that are in the database by now.
func (a *Appender) reseal(ctx context.Context, batch []*prepared) error {
	for _, p := range batch {
		a.keys.forget(p.keys.used)
	}
	for _, p := range batch {
		if err := p.reseal(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rewrap wraps the new keys of a batch again: meanwhile a rotation began.
func (a *Appender) rewrap(ctx context.Context, batch []*prepared) error {
	for _, p := range batch {
		if err := a.keys.rewrap(ctx, p.keys.used); err != nil {
			return err
		}
	}
	return nil
}

func answerAll(batch []*prepared, err error) {
	for _, p := range batch {
		p.answer <- answer{err: err}
	}
}

// pause waits for d and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try appends the batch once, whoever else appends. If interrupted, an earlier
// attempt may have succeeded unnoticed.
func (a *Appender) try(ctx context.Context, batch []*prepared, interrupted bool) ([]answer, error) {
	if err := a.connect(ctx); err != nil {
		return nil, err
	}
	if a.head != nil && !interrupted && !slices.ContainsFunc(batch, func(p *prepared) bool { return p.Replay }) {
		answers, written, err := a.write(ctx, a.append, batch, *a.head, newExisting(), true)
		if written || err != nil {
			return answers, err
		}
	}
	for range lostRaces {
		h, e, err := a.look(ctx, a.lookup, batch, interrupted)
		if err != nil {
			return nil, err
		}
		answers, written, err := a.write(ctx, a.append, batch, h, e, false)
		if written || err != nil {
			return answers, err
		}
		a.stats.retries.Add(1)
	}
	return a.tryLocked(ctx, batch, interrupted)
}

// tryLocked appends the batch while it holds the head's row lock.
func (a *Appender) tryLocked(ctx context.Context, batch []*prepared, interrupted bool) (answers []answer, err error) {
	tx, err := a.conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, rollback(tx))
		}
	}()
	if _, err := tx.ExecContext(ctx, `SELECT FROM head WHERE id = 1 FOR UPDATE`); err != nil {
		return nil, err
	}
	h, e, err := a.look(ctx, tx.StmtContext(ctx, a.lookup), batch, interrupted)
	if err != nil {
		return nil, err
	}
	answers, written, err := a.write(ctx, tx.StmtContext(ctx, a.append), batch, h, e, false)
	if err != nil {
		return nil, err
	}
	if !written {
		return nil, domain.Errorf(domain.Internal, "append", "the head moved while it was locked")
	}
	if err := tx.Commit(); err != nil {
		a.head = nil
		return nil, err
	}
	return answers, nil
}

// look reads the head and what the log holds of the batch.
func (a *Appender) look(ctx context.Context, stmt *sql.Stmt, batch []*prepared, byID bool) (head, *existing, error) {
	asked := newLookup(batch, byID)
	rows, err := stmt.QueryContext(ctx, asked.args()...)
	if err != nil {
		return head{}, nil, err
	}
	defer rows.Close()
	return scanLookup(rows, asked)
}

// write plans the batch after h and writes the plan. It reports false if the
// head is elsewhere by now or, if guarded, if something may be a repetition.
func (a *Appender) write(ctx context.Context, stmt *sql.Stmt, batch []*prepared, h head, e *existing, guarded bool) ([]answer, bool, error) {
	pl, err := newPlan(ctx, batch, h, e, time.Now(), a.rows)
	if err != nil {
		return nil, false, err
	}
	planned := pl.after.position - pl.before.position
	if planned > 0 {
		var written int64
		var notified sql.NullString
		if err := stmt.QueryRowContext(ctx, pl.args(guarded)...).Scan(&written, &notified); err != nil {
			a.head = nil
			return nil, false, err
		}
		if written == 0 {
			a.head = nil
			return nil, false, nil
		}
		if written != planned {
			return nil, false, domain.Errorf(domain.Internal, "append", "wrote %d records of %d", written, planned)
		}
	}
	a.keys.stored(pl.newKeys)
	a.head = &pl.after
	a.stats.records.Add(planned)
	return pl.answers, true, a.complete(ctx, pl)
}

// complete reads the records of the deliveries that were repeated.
func (a *Appender) complete(ctx context.Context, pl *plan) error {
	for _, r := range pl.repeated {
		records, err := receiptRecords(ctx, a.conn, r.first.position, r.first.records)
		if err != nil {
			return err
		}
		pl.answers[r.answer].receipt.Records = records
	}
	return nil
}

// connect takes a connection for the appender alone and prepares its statements.
func (a *Appender) connect(ctx context.Context) (err error) {
	if a.conn != nil {
		return nil
	}
	if a.conn, err = a.db.Conn(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			a.disconnect()
		}
	}()
	// Every look-up is by a unique index. A table that was never analysed must
	// not be scanned, and a plan not be made anew for every batch.
	if _, err = a.conn.ExecContext(ctx, `SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
		set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
		set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)`); err != nil {
		return err
	}
	if a.append, err = a.conn.PrepareContext(ctx, appendSQL); err != nil {
		return err
	}
	a.lookup, err = a.conn.PrepareContext(ctx, lookupSQL)
	return err
}

// disconnect gives the connection up. What it held may be lost with it.
func (a *Appender) disconnect() {
	if a.conn != nil {
		// The driver knows best whether the connection can be used again; if it
		// cannot, closing it fails, and that is why it is given up.
		_ = a.conn.Close()
	}
	a.conn, a.append, a.lookup, a.head = nil, nil, nil, nil
}
