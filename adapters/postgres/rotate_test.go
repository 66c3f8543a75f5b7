package postgres_test

import (
	"context"
	"database/sql"
	"slices"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

func rotate(ctx context.Context, t *testing.T, owner *sql.DB) (postgres.Rotation, error) {
	t.Helper()
	files, err := postgrestest.Files(ctx, owner)
	if err != nil {
		t.Fatal(err)
	}
	return postgres.Rotate(ctx, owner, files.(postgres.RotatedFiles), func(int64, int64) {})
}

// TestRotateElsewhere rotates in a directory that is not the book's: nothing is begun.
func TestRotateElsewhere(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	mustAppend(t, log, seen("one", "1"))
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	none := keyfile.Open(t.TempDir(), "book")
	r, err := postgres.Rotate(t.Context(), owner, none, func(int64, int64) {})
	if domain.CodeOf(err) != domain.NotFound || domain.HintOf(err) == "" {
		t.Errorf("rotated %+v, %v", r, err)
	}
	if epochs, err := postgres.KeyEpochs(t.Context(), owner); err != nil || len(epochs) != 1 || !epochs[0].Destroyed.IsZero() {
		t.Errorf("epochs %+v, %v", epochs, err)
	}
	if _, err := none.KEK(2); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a key was made: %v", err)
	}
	mustAppend(t, log, seen("two", "2"))
}

// TestInquiryBesideLostKeys asks about people after a backup brought keys back that
// nothing unwraps: what can be opened is found, the lost keys can be destroyed, and
// nobody is taken for somebody else who is lost too.
func TestInquiryBesideLostKeys(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	mustAppend(t, log, seen("one", "1", "2"))
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	exec := func(statement string) {
		t.Helper()
		if _, err := owner.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE backup AS SELECT * FROM data_key`)
	if _, err := rotate(t.Context(), t, owner); err != nil {
		t.Fatal(err)
	}
	exec(`UPDATE data_key k SET epoch = b.epoch, wrapped = b.wrapped FROM backup b WHERE b.id = k.id`)
	mustAppend(t, log, seen("two", "3"))

	find := func(i postgres.Inquiry) *postgres.Dossier {
		t.Helper()
		d, err := i.Run(t.Context(), owner, postgrestest.Keys(t, url), func(string, int64, int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	who := func(id string) domain.Identity {
		return domain.Identity{Source: "acme", Type: domain.PersonUser, ID: id}
	}
	alive := find(postgres.Inquiry{Email: "3@example.com"})
	if !slices.Equal(alive.Identities, []domain.Identity{who("3")}) || len(alive.Deliveries) != 1 || alive.Deliveries[0].Erased || len(alive.Keys) != 2 {
		t.Errorf("who can be opened: %+v", alive)
	}
	lost := find(postgres.Inquiry{Identity: who("1")})
	if !slices.Equal(lost.Identities, []domain.Identity{who("1")}) || len(lost.Others) != 0 || len(lost.Texts) == 0 || lost.Texts[0].Text != projections.Unopened {
		t.Errorf("who cannot: %+v", lost)
	}
	if len(lost.Deliveries) != 1 || !lost.Deliveries[0].Erased || len(lost.Keys) != 2 {
		t.Errorf("what is held of them: %+v", lost)
	}
}
