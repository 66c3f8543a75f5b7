package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A staging is a projection that is built again, in a schema of its own beside the
// live one. Its keyed tables are in memory and are written when progress is saved;
// the rows of its journals are written as they come.
//
// What it keeps true: the schema holds what the log gives up to the position in its
// table rebuild, all of it changed in the transaction that changed that. So whoever
// finds it goes on from there.
type staging struct {
	*folding
	schema  string
	load    func(lines) // takes the rows of journals; nil: they wait in journals
	journal map[projections.Table][]byte
	indexed bool // the schema has its keys and indexes, and keyed tables are changed row by row
}

// lines are rows for one COPY.
type lines struct {
	statement string
	text      []byte
}

// copyBytes is how much is sent by one COPY, more or less.
const copyBytes = 256 << 10

func newStaging(p *projections.Projection, load func(lines)) *staging {
	s := &staging{schema: p.Name + "_next", load: load}
	s.begin(p)
	return s
}

// begin begins at the start of the log, whatever was folded or read so far.
func (s *staging) begin(p *projections.Projection) {
	s.folding, s.journal = newFolding(p), make(map[projections.Table][]byte)
	s.Stream(s.line)
}

// line takes a row of a journal.
func (s *staging) line(t projections.Table, row *projections.RowText) {
	text := appendCopy(s.journal[t], row)
	if len(text) >= copyBytes && s.load != nil {
		s.load(lines{copyStatement(s.schema, t), text})
		text = make([]byte, 0, copyBytes+copyBytes/8)
	}
	s.journal[t] = text
}

// declaration returns a hash of how the tables are declared: rows of others are not
// gone on with.
func declaration(p *projections.Projection) string {
	h := sha256.New()
	for _, t := range p.Tables {
		fmt.Fprintln(h, t.Name(), t.IsJournal(), t.KeyColumns(), t.Columns(), t.Indexes())
	}
	return fmt.Sprintf("%d %x", p.Version, h.Sum(nil))
}

// open makes the schema, or goes on with one that an interrupted rebuild left, if
// it is of the same version and the log has not become another since.
func (s *staging) open(ctx context.Context, tx *sql.Tx) error {
	p := s.Projection()
	// What an interrupted swap left behind is nobody's answer.
	if err := dropSchema(ctx, tx, p.Name+"_old"); err != nil {
		return err
	}
	resumed, err := s.resume(ctx, tx)
	if err != nil || resumed {
		return err
	}
	s.begin(p)
	if err := createSchema(ctx, tx, s.schema, p); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `CREATE TABLE `+s.mark()+` (declared text NOT NULL, position bigint NOT NULL, root bytea, journals json NOT NULL)`)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO `+s.mark()+` VALUES ($1, 0, NULL, '{}')`, declaration(p))
	return err
}

// mark returns the name of the table that says how far the schema is.
func (s *staging) mark() string { return pq.QuoteIdentifier(s.schema) + ".rebuild" }

// resume reads what was saved, and reports whether it is gone on with.
func (s *staging) resume(ctx context.Context, tx *sql.Tx) (bool, error) {
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL AND obj_description(to_regnamespace($2), 'pg_namespace') = $3`,
		s.mark(), pq.QuoteIdentifier(s.schema), schemaComment).Scan(&there)
	if err != nil || !there {
		return false, err
	}
	var declared string
	var position int64
	var root, now, states []byte
	err = tx.QueryRowContext(ctx, `SELECT m.declared, m.position, m.root, l.root, m.journals FROM `+s.mark()+` m LEFT JOIN log l ON l.position = m.position`).
		Scan(&declared, &position, &root, &now, &states)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if position == 0 || declared != declaration(s.Projection()) || !bytes.Equal(root, now) {
		return false, nil
	}
	var journals map[string]projections.DigestState
	if err := json.Unmarshal(states, &journals); err != nil {
		return false, nil // it was changed by hand
	}
	for _, t := range s.Projection().Tables {
		if whole, err := s.read(ctx, tx, t, journals[t.Name()]); err != nil || !whole {
			return false, err
		}
	}
	if err := s.Resume(position, journals); err != nil {
		return false, nil
	}
	s.at = position
	return true, tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = to_regnamespace($1))`,
		pq.QuoteIdentifier(s.schema)).Scan(&s.indexed)
}

// read puts the rows of a keyed table back. Of a journal it only counts them. It
// reports whether all is as it was saved.
func (s *staging) read(ctx context.Context, tx *sql.Tx, t projections.Table, state projections.DigestState) (bool, error) {
	if t.IsJournal() {
		var rows int64
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM `+relation(s.schema, t)).Scan(&rows)
		return rows == state.Rows, err
	}
	for cells, err := range scanTable(ctx, tx, s.schema, t) {
		if err != nil {
			return false, err
		}
		row, err := t.Parse(cells)
		if err != nil {
			return false, nil
		}
		key := make([]string, t.KeyColumns())
		for i := range key {
			key[i] = cells[i].Text
		}
		s.Put(t, projections.JoinKey(key), row)
	}
	return true, nil
}

// save writes what is not written yet and says how far it goes. The caller calls
// saved once that is committed.
func (s *staging) save(ctx context.Context, conn *sql.Conn, tx *sql.Tx) error {
	for t, text := range s.journal {
		if err := copyText(ctx, conn, copyStatement(s.schema, t), text); err != nil {
			return fmt.Errorf("load %s: %w", t.Name(), err)
		}
	}
	if err := s.saveKeyed(ctx, conn, tx); err != nil {
		return err
	}
	journals, err := s.Journals()
	if err != nil {
		return err
	}
	states, err := domain.Marshal(journals)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE `+s.mark()+` SET position = $1, root = (SELECT root FROM log WHERE position = $1), journals = $2`, s.at, string(states))
	return err
}

func (s *staging) saveKeyed(ctx context.Context, conn *sql.Conn, tx *sql.Tx) error {
	if s.indexed {
		for _, c := range s.Changes() {
			if err := write(ctx, tx, s.schema, c); err != nil {
				return err
			}
		}
		return nil
	}
	for _, t := range s.Projection().Tables {
		if t.IsJournal() {
			continue
		}
		if _, err := tx.ExecContext(ctx, `TRUNCATE `+relation(s.schema, t)); err != nil {
			return err
		}
		if err := s.copyKeyed(ctx, conn, t); err != nil {
			return fmt.Errorf("load %s: %w", t.Name(), err)
		}
	}
	return nil
}

func (s *staging) copyKeyed(ctx context.Context, conn *sql.Conn, t projections.Table) error {
	var row projections.RowText
	text := make([]byte, 0, copyBytes+copyBytes/8)
	for r := range s.Rows(t) {
		row.Set(t, r)
		if text = appendCopy(text, &row); len(text) < copyBytes {
			continue
		}
		if err := copyText(ctx, conn, copyStatement(s.schema, t), text); err != nil {
			return err
		}
		text = text[:0]
	}
	return copyText(ctx, conn, copyStatement(s.schema, t), text)
}

// saved forgets what was to be written.
func (s *staging) saved() {
	for t := range s.journal {
		s.journal[t] = s.journal[t][:0]
	}
	s.Written()
}

// index adds keys and indexes, once all rows of long ago are there.
func (s *staging) index(ctx context.Context, tx *sql.Tx) error {
	if s.indexed {
		return nil
	}
	// As much as the database is given for it anywhere, or this if that is less.
	if _, err := tx.ExecContext(ctx, `SELECT set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), 134217728)::text || 'B', true)`); err != nil {
		return err
	}
	for _, t := range s.Projection().Tables {
		if err := indexTable(ctx, tx, s.schema, t); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `ANALYZE `+relation(s.schema, t)); err != nil {
			return err
		}
	}
	return nil
}
