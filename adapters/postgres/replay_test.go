package postgres_test

import (
	"slices"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// unread returns d as it is recorded while nobody can read it.
func unread(d domain.Delivery) domain.Delivery {
	d.Facts = []domain.Fact{{Event: domain.IntakeQuarantined{Topic: d.Topic, Reason: "is not understood"}}}
	return d
}

// dated returns d as it is if its body says when: with a key.
func dated(d domain.Delivery) domain.Delivery {
	d.Key = "dated"
	return d
}

// both returns d as it is if it states the level of two lines.
func both(d domain.Delivery) domain.Delivery {
	d.Scopes = []string{"credits/7", "credits/8"}
	return d
}

// replay returns d as the replay of an earlier delivery.
func replay(d domain.Delivery, of domain.Receipt) domain.Delivery {
	d.ID, d.Cause, d.Replay = ulid.Make(), of.Delivery, true
	return d
}

func TestReplay(t *testing.T) {
	// Every case starts with a delivery that was not understood (14), and says
	// what came after it, what the replay is and what becomes of it.
	for _, tt := range []struct {
		name   string
		first  domain.Delivery
		after  []domain.Delivery
		replay domain.Delivery
		want   domain.Status // "": it is refused
	}{
		{"its own key", unread(level("one", 14)), nil, level("one", 14), domain.Accepted},
		{"another key", unread(level("one", 14)), nil, level("two", 14), domain.Accepted},
		{"its own scope", unread(scoped(14)), nil, scoped(14), domain.Accepted},
		{"a scope now", unread(level("one", 14)), nil, scoped(14), domain.Accepted},
		{"still not understood", unread(level("one", 14)), nil, unread(level("one", 14)), ""},
		{"booked from the start", level("one", 14), nil, level("one", 14), domain.Duplicate},
		{"booked by another delivery", unread(level("one", 14)), []domain.Delivery{level("two", 14)}, level("two", 14), domain.Duplicate},
		{"other bytes are booked", unread(level("one", 14)), []domain.Delivery{level("two", 13)}, level("two", 14), ""},
		{"other bytes are not booked", unread(level("one", 14)), []domain.Delivery{unread(level("two", 13))}, level("two", 14), domain.Accepted},
		{"a later level is booked", unread(scoped(14)), []domain.Delivery{scoped(13)}, scoped(14), ""},
		{"a later level is not booked", unread(scoped(14)), []domain.Delivery{unread(scoped(13))}, scoped(14), domain.Accepted},
		{"the same level is booked later", unread(level("one", 14)), []domain.Delivery{scoped(14)}, scoped(14), domain.Duplicate},
		{"the same level is booked later in one of two scopes", unread(level("one", 14)), []domain.Delivery{scoped(14)}, both(scoped(14)), domain.Accepted},
		{"the same level is booked later in both", unread(level("one", 14)), []domain.Delivery{both(scoped(14))}, both(scoped(14)), domain.Duplicate},
		{"a later level is booked, and the replay says when", unread(scoped(14)), []domain.Delivery{scoped(13)}, dated(scoped(14)), domain.Accepted},
		{"a later level among those not booked", unread(scoped(14)), []domain.Delivery{scoped(13), unread(scoped(12))}, scoped(14), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := postgrestest.URL(t)
			a := postgrestest.Appender(t, url)
			first := mustAppend(t, a, tt.first)
			for _, d := range tt.after {
				mustAppend(t, a, d)
			}
			before := len(checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector)))
			d := replay(tt.replay, first)
			r, err := a.Append(t.Context(), d)
			if tt.want == "" {
				if domain.CodeOf(err) != domain.Refused {
					t.Fatalf("%+v, %v, want it refused", r, err)
				}
			} else if err != nil || r.Status != tt.want {
				t.Fatalf("%+v, %v, want %s", r, err, tt.want)
			}
			records := checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
			if tt.want != domain.Accepted {
				if len(records) != before {
					t.Errorf("%d records, want %d", len(records), before)
				}
				return
			}
			if last := records[len(records)-1]; len(records) != before+1 || last.Cause != first.Delivery || last.Delivery != d.ID {
				t.Errorf("%d records, the last is %+v", len(records), last)
			}
			// Again, as before, as by another mapping, and by the sender.
			other := tt.replay
			other.Key, other.Scopes = "yet another", nil
			for _, again := range []domain.Delivery{replay(tt.replay, first), replay(other, first)} {
				if got := mustAppend(t, a, again); got.Status != domain.Duplicate || got.Delivery != d.ID {
					t.Errorf("replayed again: %+v, want the receipt of %v", got, d.ID)
				}
			}
			sent := tt.replay
			sent.ID = ulid.Make()
			if got := mustAppend(t, a, sent); len(tt.after) == 0 && got.Status != domain.Duplicate {
				t.Errorf("sent again: %+v", got)
			}
		})
	}
}

// TestReplayInOrder replays levels that were not understood one by one: each is a
// fact, also the one that has the bytes of the first.
func TestReplayInOrder(t *testing.T) {
	a := postgrestest.Appender(t, postgrestest.URL(t))
	var recorded []domain.Receipt
	for _, remaining := range []int64{14, 15, 14} {
		recorded = append(recorded, mustAppend(t, a, unread(scoped(remaining))))
	}
	for i, remaining := range []int64{14, 15, 14} {
		if r := mustAppend(t, a, replay(scoped(remaining), recorded[i])); r.Status != domain.Accepted {
			t.Errorf("replay %d: %+v", i+1, r)
		}
	}
}

// TestReplayBehindAKey checks that a replay that says when it was, and so may be
// old, does not hide a later level from one that does not say.
func TestReplayBehindAKey(t *testing.T) {
	a := postgrestest.Appender(t, postgrestest.URL(t))
	old := mustAppend(t, a, unread(scoped(15)))
	undated := mustAppend(t, a, unread(scoped(14)))
	mustAppend(t, a, scoped(13))
	if r := mustAppend(t, a, replay(dated(scoped(15)), old)); r.Status != domain.Accepted {
		t.Fatalf("dated: %+v", r)
	}
	if r, err := a.Append(t.Context(), replay(scoped(14), undated)); domain.CodeOf(err) != domain.Refused {
		t.Errorf("undated, with 13 booked after it: %+v, %v, want it refused", r, err)
	}
}

// TestInsist books both of two deliveries that have the same key.
func TestInsist(t *testing.T) {
	a := postgrestest.Appender(t, postgrestest.URL(t))
	mustAppend(t, a, level("one", 14))
	conflict := mustAppend(t, a, level("one", 13))
	if _, err := a.Append(t.Context(), replay(level("one", 13), conflict)); domain.CodeOf(err) != domain.Refused {
		t.Errorf("a conflict replayed: %v", err)
	}
	d := replay(level("one", 13), conflict)
	d.Insist = true
	if r := mustAppend(t, a, d); r.Status != domain.Accepted {
		t.Errorf("insisted: %+v", r)
	}
	if r := mustAppend(t, a, level("one", 13)); r.Status != domain.Duplicate {
		t.Errorf("sent again: %+v", r)
	}
}

// TestReplayOfOtherBytes checks that what is replayed is what was recorded.
func TestReplayOfOtherBytes(t *testing.T) {
	a := postgrestest.Appender(t, postgrestest.URL(t))
	first := mustAppend(t, a, unread(level("one", 14)))
	if r, err := a.Append(t.Context(), replay(level("one", 15), first)); domain.CodeOf(err) != domain.Internal {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestReplayOfNothing(t *testing.T) {
	a := postgrestest.Appender(t, postgrestest.URL(t))
	_, err := a.Append(t.Context(), replay(level("one", 14), domain.Receipt{Delivery: ulid.Make()}))
	if domain.CodeOf(err) != domain.NotFound {
		t.Error(err)
	}
}

// TestQuarantineShowsReplays checks that what a replay booked is shown as booked, and
// as open up to where nobody knew.
func TestQuarantineShowsReplays(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	first := mustAppend(t, a, unread(level("one", 14)))
	mustAppend(t, a, replay(level("one", 14), first))
	projector := postgres.NewProjector(postgrestest.Open(t, url, postgres.RoleProjector), nil)
	views := postgres.LogViews()
	v := views[slices.IndexFunc(views, func(v projections.View) bool { return v.Name == "quarantine" })]
	column := func(name string) int {
		return slices.IndexFunc(v.Columns, func(c projections.ViewColumn) bool { return c.Name == name })
	}
	for known, want := range map[int64][2]string{1: {"open", ""}, 2: {"booked", "2"}} {
		answer, err := projector.AskLog(t.Context(), nil, v, projections.Query{Known: known})
		if err != nil || len(answer.Rows) != 1 {
			t.Fatalf("known %d: %v, %v", known, answer.Rows, err)
		}
		row := answer.Rows[0]
		if got := [2]string{row[column("status")].Text, row[column("booked")].Text}; got != want {
			t.Errorf("known %d: %v, want %v", known, got, want)
		}
	}
}
