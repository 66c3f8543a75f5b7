package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A LogCheck says how much of the log is verified, and against what that is kept
// outside the database.
type LogCheck struct {
	From, To    int64 // 0: from the first record, to the last
	Checkpoints []KeptCheckpoint
	Unread      []string // what is kept and could not be read, and why
	Receipts    []KeptReceipt
	Now         time.Time
}

// A KeptCheckpoint is a checkpoint of this log whose signature was verified.
type KeptCheckpoint struct {
	Where string // it was found, for people
	checkpoint.Checkpoint
}

// A KeptReceipt is one record of a receipt that a sender kept.
type KeptReceipt struct {
	Where    string // it was found, for people
	Position int64
	ID       ulid.ULID // zero: not known
	Leaf     tree.Hash
}

// A LogFinding is something in the log that is not what it should be.
type LogFinding struct {
	Position int64  `json:"position"`        // of the record or delivery; the first that can be meant
	Until    int64  `json:"until,omitempty"` // the last that can be meant, if there are several
	What     string `json:"what"`
	Stored   string `json:"stored,omitempty"`   // hash in base64: what is there
	Computed string `json:"computed,omitempty"` // what should be there
}

// String returns the finding in one line.
func (f LogFinding) String() string {
	at := strconv.FormatInt(f.Position, 10)
	if f.Until > 0 {
		at += "…" + strconv.FormatInt(f.Until, 10)
	}
	s := "position " + at + ": " + f.What
	if f.Stored != "" {
		s += fmt.Sprintf(" (stored %s, computed %s)", f.Stored, f.Computed)
	}
	return s
}

// A LogVerification says whether the log is what its leaves, its roots, its head
// and what is kept outside the database say.
type LogVerification struct {
	Result     domain.Verdict `json:"result"`
	From       int64          `json:"from"`
	To         int64          `json:"to"`
	Head       int64          `json:"head"`
	Root       string         `json:"root,omitempty"` // computed from the records up to To
	Deliveries int64          `json:"deliveries"`     // looked at
	Vouched    int64          `json:"vouched"`        // up to here the log is what a checkpoint outside says
	Receipts   int            `json:"receipts"`       // that agree
	Findings   []LogFinding   `json:"findings"`       // by position; none unless it fails
	More       int64          `json:"more"`           // findings beyond those listed
	Missing    []string       `json:"missing"`        // what is needed to say more
	Notes      []string       `json:"notes"`          // what is worth knowing and changes nothing
}

// maxFindings is how many findings are listed.
const maxFindings = 100

func (v *LogVerification) find(f LogFinding) {
	if len(v.Findings) == maxFindings {
		v.More++
		return
	}
	v.Findings = append(v.Findings, f)
}

func (v *LogVerification) missing(format string, args ...any) {
	v.Missing = append(v.Missing, fmt.Sprintf(format, args...))
}

func (v *LogVerification) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// judge works the verdict out from what was found.
func (v *LogVerification) judge() {
	slices.SortStableFunc(v.Findings, func(a, b LogFinding) int { return cmp.Compare(a.Position, b.Position) })
	switch {
	case len(v.Findings) > 0:
		v.Result = domain.Fail
	case len(v.Missing) > 0:
		v.Result = domain.Incomplete
	default:
		v.Result = domain.OK
	}
}

// hash64 returns a hash as it is shown.
func hash64(h tree.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

// VerifyLog reads the log, its deliveries and their scopes once, as they are at
// one moment, and computes everything again that the log says of itself: the
// bytes of every record and delivery against the leaf, every root, positions
// without a gap, times that never run backwards, the head and the tiles. What was
// rewritten as a whole, hashes and all, agrees with itself: only what is kept
// outside the database tells.
//
// It hashes on all cores and holds a few pages of each table in memory. db must
// be a pool for the role [RoleAuditor] with [AuditConns] connections. An error
// says that the log could not be looked at.
func VerifyLog(ctx context.Context, db *sql.DB, check LogCheck, progress Progress) (v LogVerification, err error) {
	s, err := openLog(ctx, db)
	if err != nil {
		return v, auditError(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	c := newChain(check)
	if err := c.begin(ctx, s); err != nil {
		return v, auditError(err)
	}
	for b, err := range s.batches(ctx, c.From, c.upTo()) {
		if err != nil {
			return v, auditError(err)
		}
		c.follow(b)
		if progress != nil {
			progress(c.next-c.From, c.To-c.From+1)
		}
	}
	if err := c.end(ctx, s); err != nil {
		return v, auditError(err)
	}
	c.judge()
	return c.LogVerification, nil
}

// auditError says of an error what it means for the log: tables that are not as
// daybook makes them are not what they should be.
func auditError(err error) error {
	if e, ok := errors.AsType[*pq.Error](err); ok && e.Code.Class() == "42" && e.Code != "42501" {
		return domain.Errorf(domain.Differs, "verify log", "the tables are not as daybook makes them: %w", err).
			WithHint("Compare the schema with that of a new database; restore it from a backup.")
	}
	return unreachable(err)
}
