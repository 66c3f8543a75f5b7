package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// A shownDecision is what was recorded about a person, as JSON.
type shownDecision struct {
	What     string    `json:"what"` // flagged, erased or kept
	Position int64     `json:"position"`
	At       time.Time `json:"at"`
	Erasure  string    `json:"erasure,omitempty"`
	Basis    string    `json:"basis,omitempty"`
	By       string    `json:"by,omitempty"`
}

// said returns a decision in words.
func (d shownDecision) said() string {
	text := d.At.Format(time.RFC3339)
	switch {
	case d.Basis == "":
		return text + " by the provider, who deleted the person"
	case d.Erasure != "":
		text += " as " + d.Erasure
	}
	return text + " by " + d.By + ": " + d.Basis
}

func decisionsAbout(ctx context.Context, db *sql.DB, identities []domain.Identity) ([]shownDecision, error) {
	list, err := postgres.Decisions(ctx, db, identities)
	shown := []shownDecision{}
	for _, d := range list {
		s := shownDecision{What: "flagged", Position: d.Position, At: d.At}
		switch e := d.Event.(type) {
		case domain.PrivacyErased:
			s.What, s.Erasure, s.Basis, s.By = "erased", e.Erasure, e.Basis, e.By
		case domain.PrivacyKept:
			s.What, s.Basis, s.By = "kept", e.Basis, e.By
		}
		if n := len(shown); n == 0 || s.Erasure == "" || shown[n-1].Erasure != s.Erasure {
			shown = append(shown, s) // an erasure of many keys has several records
		}
	}
	return shown, err
}

// erasureColumns are what is said of each erasure.
var erasureColumns = []projections.Column{
	{Name: "erasure", Type: projections.TypeText},
	{Name: "state", Type: projections.TypeText}, // requested, effective or final
	{Name: "identities", Type: projections.TypeText},
	{Name: "requested_at", Type: projections.TypeTime},
	{Name: "keys", Type: projections.TypeInteger},
	{Name: "alive", Type: projections.TypeInteger}, // keys that are not destroyed: none, or it is not effective
	{Name: "final_at", Type: projections.TypeTime, Optional: true},
	{Name: "epoch", Type: projections.TypeInteger},
	{Name: "basis", Type: projections.TypeText},
	{Name: "by", Type: projections.TypeText},
}

func privacyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List erasures: which are requested, effective and final",
		Long: `Lists all erasures, the oldest first. One is requested when it is noted, effective
when its keys are destroyed, which is at once, and final when the key-encryption
keys that those were wrapped by are destroyed too: then old copies of the database
and of its write-ahead log are useless to everybody.

Who waits for a decision, because their provider deleted them, is in the view
directory/erasures.`,
		Example: `  daybook privacy list
  daybook view directory/erasures status=flagged`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			d, err := a.openDatabase(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			rows, err := d.erasures(ctx)
			if err != nil {
				return err
			}
			return a.print(render.Answer{View: "erasures", Columns: erasureColumns, Rows: rows})
		},
	}
}

// erasures returns the rows of "daybook privacy list".
func (d *database) erasures(ctx context.Context) (rows [][]projections.Cell, err error) {
	noted, err := d.files.Erasures()
	if err != nil {
		return nil, err
	}
	db, err := d.open(ctx, postgres.RoleProjector, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	epochs, err := postgres.KeyEpochs(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, e := range noted {
		alive, err := postgres.AliveKeys(ctx, db, e.Keys)
		if err != nil {
			return nil, err
		}
		state, final := "effective", finalAt(epochs, e.Epoch)
		switch {
		case alive > 0:
			state = "requested"
		case !final.IsZero():
			state = "final"
		}
		rows = append(rows, []projections.Cell{
			{Text: e.ID},
			{Text: state},
			{Text: strings.Join(identityTexts(e.Identities), " ")},
			projections.TimeCell(e.At),
			countCell(len(e.Keys)), countCell(alive),
			projections.TimeCell(final), countCell(e.Epoch),
			{Text: e.Basis},
			{Text: e.By},
		})
	}
	return rows, nil
}

func countCell[N int | int64](n N) projections.Cell { return projections.Cell{Text: fmt.Sprint(n)} }

// finalAt returns when the last key-encryption key of the epochs up to one was
// destroyed, zero if one of them is not.
func finalAt(epochs []postgres.KeyEpoch, upTo int64) (at time.Time) {
	for _, e := range epochs {
		if int64(e.Epoch) > upTo {
			break
		}
		if e.Destroyed.IsZero() {
			return time.Time{}
		}
		if e.Destroyed.After(at) {
			at = e.Destroyed
		}
	}
	return at
}

func privacyRotate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key-encryption key, which makes erasures final",
		Long: `Makes a new key-encryption key, wraps all keys with it, and then destroys the one
before: its file is overwritten and removed. What is left of erased keys in the
write-ahead log, in dead rows and in backups of the database is then useless, and so
is every copy of the old file that you destroy as well. Servers go on meanwhile. If
it is interrupted, run it again.

Personal data in backups of the database from before cannot be opened with the new
key. Make a backup of the database and of the directory of keys afterwards, and do
it at least as often as erasures have to become final, such as every 30 days.

It destroys nothing for a log that is not the one that was signed, such as a backup
that was restored beside it: both have the same directory of keys.`,
		Example: "  daybook privacy rotate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			d, err := a.openDatabase(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			owner, err := d.open(ctx, postgres.RoleOwner, 2)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, owner.Close()) }()
			if err := a.checkRotation(ctx, d, owner); err != nil {
				return err
			}
			p := a.progress("privacy: wrap keys")
			r, err := postgres.Rotate(ctx, owner, d.files, p.update)
			p.end()
			if err != nil {
				return err
			}
			return a.wroteRotation(r)
		},
	}
}

// checkRotation refuses to destroy the key-encryption key for a log that is not the
// one that was signed: it may be a copy, and the log it was copied from needs that
// key. A backup whose key is destroyed already has nothing to lose.
func (a *app) checkRotation(ctx context.Context, d *database, owner *sql.DB) error {
	epochs, err := postgres.KeyEpochs(ctx, owner)
	if err != nil || len(epochs) == 0 {
		return err
	}
	if _, err := d.files.KEK(epochs[len(epochs)-1].Epoch); domain.CodeOf(err) == domain.NotFound {
		return nil
	}
	return a.checkSigned(ctx, d)
}

func (a *app) wroteRotation(r postgres.Rotation) error {
	if a.output != "table" {
		return a.writeJSON(struct {
			Epoch     int   `json:"epoch"`
			Wrapped   int64 `json:"wrapped"`
			Lost      int64 `json:"lost"`
			Destroyed []int `json:"destroyed"`
		}{r.Epoch, r.Wrapped, r.Lost, append([]int{}, r.Destroyed...)})
	}
	fmt.Fprintf(a.stdout, "epoch %d: %d keys wrapped again; destroyed the key-encryption keys of epoch %s\n", r.Epoch, r.Wrapped, strings.Trim(fmt.Sprint(r.Destroyed), "[]"))
	if r.Lost > 0 {
		a.warn("%d keys cannot be opened any more: the key-encryption key that wraps them is not here", r.Lost)
	}
	a.warn("back up the database and the directory of keys now, each by itself: older backups hold personal data that this key does not open")
	return nil
}
