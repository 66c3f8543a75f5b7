package postgres_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// credlyDelivery is a delivery of a Credly source: a notice, what is in quarantine, or an
// answer.
func credlyDelivery(key, fetched string, e domain.Event) domain.Delivery {
	return domain.Delivery{
		ID: ulid.Make(), Source: "credly", ReceivedAt: time.Now(), Verified: "test", Fetched: fetched, Body: []byte(key),
		Translation: domain.Translation{Topic: "t", Key: key, Facts: []domain.Fact{{Event: e}}},
	}
}

func TestNotices(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	noticed := domain.BadgesNoticed{Notice: "n", Organization: "o", EventType: "badge.created"}
	other := credlyDelivery("1", "", noticed)
	other.Source = "elsewhere"
	var ids []string
	for _, d := range []domain.Delivery{
		credlyDelivery("1", "", noticed), // position 1
		other,
		credlyDelivery("event/1", "events/1", domain.BadgesDeleted{Badge: "b"}),
		credlyDelivery("2", "", domain.IntakeQuarantined{Reason: "is missing", Field: "event_type"}),
		credlyDelivery("event/3", "events/3", domain.IntakeQuarantined{Reason: "is missing"}),
		credlyDelivery("4", "", domain.IntakeUnrecognized{Reason: "unknown topic"}),
		credlyDelivery("5", "", noticed), // position 7
	} {
		receipt, err := log.Append(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipt.Delivery.String())
	}
	n := postgres.NewNotices(postgrestest.Open(t, url, postgres.RoleProjector), postgrestest.Keys(t, url))
	for after, want := range map[int64][]int64{0: {1, 4, 7}, 1: {4, 7}, 6: {7}, 7: nil, 9: nil} {
		list, upTo, err := n.Notices(t.Context(), "credly", after)
		if err != nil || upTo != max(after, 7) || len(list) != len(want) {
			t.Fatalf("after %d: %d notices up to %d, %v", after, len(list), upTo, err)
		}
		for i, d := range list {
			if d.Position != want[i] || d.Delivery.String() != ids[want[i]-1] || d.RecordedAt.IsZero() || len(d.Body) == 0 {
				t.Errorf("after %d: %+v", after, d)
			}
		}
	}
	statuses, err := n.Statuses(t.Context(), "credly", []string{"1", "2", "3", "event/1", "event/3"})
	want := map[string]domain.Status{"1": domain.Accepted, "2": domain.Quarantined, "event/1": domain.Accepted, "event/3": domain.Quarantined}
	if err != nil || !maps.Equal(statuses, want) {
		t.Errorf("%v, %v", statuses, err)
	}
	for _, step := range []struct{ to, want int64 }{{0, 0}, {3, 3}, {2, 3}, {5, 5}} {
		if step.to > 0 {
			if err := n.Advance(t.Context(), "enrich/credly", step.to); err != nil {
				t.Fatal(err)
			}
		}
		if at, err := n.Cursor(t.Context(), "enrich/credly"); err != nil || at != step.want {
			t.Errorf("moved to %d, it is at %d, %v", step.to, at, err)
		}
	}
}

// TestStatusesOfTheFirst checks that of deliveries with one key the first counts.
func TestStatusesOfTheFirst(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	mustAppend(t, a, level("one", 14))
	mustAppend(t, a, level("one", 13))
	n := postgres.NewNotices(postgrestest.Open(t, url, postgres.RoleProjector), postgrestest.Keys(t, url))
	statuses, err := n.Statuses(t.Context(), "acme-tahdah", []string{"one", "two"})
	if want := (map[string]domain.Status{"one": domain.Accepted}); err != nil || !maps.Equal(statuses, want) {
		t.Errorf("%v, %v, want %v", statuses, err, want)
	}
}

// TestAlone checks that one runs at a time, that another takes over, and that one
// that loses its connection is told.
func TestAlone(t *testing.T) {
	url := postgrestest.URL(t)
	first, second := postgrestest.Open(t, url, postgres.RoleProjector), postgrestest.Open(t, url, postgres.RoleProjector)
	begun, end := make(chan context.Context), make(chan struct{})
	done := make(chan error, 2)
	go func() {
		done <- postgres.Alone(t.Context(), first, "worker", func(ctx context.Context) error {
			begun <- ctx
			<-ctx.Done()
			return nil
		})
	}()
	held := <-begun
	go func() {
		done <- postgres.Alone(t.Context(), second, "worker", func(ctx context.Context) error {
			begun <- ctx
			<-end
			return errors.New("over")
		})
	}()
	// Another name is another lock.
	if err := postgres.Alone(t.Context(), first, "other", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	select {
	case <-begun:
		t.Error("both run")
	default:
	}
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; domain.CodeOf(err) != domain.Unreachable {
		t.Errorf("whose connection was cut: %v", err)
	}
	if held.Err() == nil {
		t.Error("who lost his turn was not told")
	}
	<-begun
	close(end)
	if err := <-done; err == nil || err.Error() != "over" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := postgres.Alone(ctx, second, "worker", func(context.Context) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
