package fetch

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// TestSweep checks that a sweep appends what the log has no answer to, and
// nothing else.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, thing{"wrong", "template"}, thing{"late", "badge"})
		if _, err := m.Record(t.Context(), domain.Request{Fetched: "events/known", Body: []byte("{}")}, ulid.ULID{}); err != nil {
			t.Fatal(err)
		}
		a := newAPI(func(path string) (int, string) {
			switch path {
			case "list":
				return 200, `[{"id":"known","type":"badge"},{"id":"unseen","type":"badge"},{"id":"wrong","type":"badge"},{"id":"late","type":"badge"},{"id":"gone","type":"badge"}]`
			case "events/late":
				return 500, ""
			case "events/gone":
				return 404, "{}"
			}
			return well(path)
		})
		e := enricher(t, m, a)
		running(t, e, nil)
		time.Sleep(10 * time.Minute) // longer than any pause so early
		// What is not confirmed the first sweep may have passed over.
		want := []string{"event/known", "event/unseen", "unverified/wrong: it is a badge"}
		if got := m.settled(); !slices.Equal(slices.DeleteFunc(got, func(k string) bool { return k == "event/wrong" }), want) {
			t.Errorf("first %v", got)
		}
		time.Sleep(sweepEvery)
		want = []string{"event/known", "event/unseen", "event/wrong", "unverified/wrong: it is a badge"}
		if got := m.settled(); !slices.Equal(got, want) || a.count("events/known") > 0 {
			t.Errorf("then %v", got)
		}
		if s := e.Status(); s.Swept.IsZero() || s.Pending != 1 {
			t.Errorf("%+v", s)
		}
		before := a.count("list")
		time.Sleep(3*sweepEvery + time.Hour)
		if n := a.count("list") - before; n != 3 {
			t.Errorf("%d sweeps in three days", n)
		}
	})
}

// TestSweepAndNotice has a sweep and a notice come upon the same event at once.
func TestSweepAndNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, wake := newMemory(t), make(chan struct{}, 1)
		a := newAPI(func(path string) (int, string) {
			if path == "list" {
				return 200, `[{"id":"0","type":"badge"},{"id":"1","type":"badge"}]`
			}
			return well(path)
		})
		a.takes = 10 * time.Second
		running(t, enricher(t, m, a), wake)
		time.Sleep(15 * time.Second) // the sweep is asking for the first one
		for _, n := range things(2) {
			m.notice(n)
		}
		wake <- struct{}{}
		time.Sleep(time.Minute)
		if got := m.settled(); !slices.Equal(got, answered(2)) || a.count("events/0") != 1 || a.count("events/1") != 1 {
			t.Errorf("%v, %d and %d requests", got, a.count("events/0"), a.count("events/1"))
		}
	})
}

// TestSweepTells checks what a sweep says of each row, and that a row which is not
// found as it is listed, or came as something that was not understood, does not
// keep the others from being fetched.
func TestSweepTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, thing{"waiting", "badge"})
		if _, err := m.Record(t.Context(), domain.Request{Fetched: "events/known", Body: []byte("{}")}, ulid.ULID{}); err != nil {
			t.Fatal(err)
		}
		strange := domain.Delivery{ID: ulid.Make(), Body: []byte("{}"), Translation: domain.Translation{Key: payload.Key("strange"), Reason: "unknown topic"}}
		if _, err := m.Append(t.Context(), strange); err != nil {
			t.Fatal(err)
		}
		a := newAPI(func(path string) (int, string) {
			switch path {
			case "list":
				return 200, `[{"id":"odd","type":"template"},{"id":"gone","type":"badge"},{"type":"badge"},{"id":"known","type":"badge"},
					{"id":"waiting","type":"badge"},{"id":"strange","type":"badge"},{"id":"unseen","type":"badge"}]`
			case "events/gone":
				return 404, "{}"
			}
			return well(path)
		})
		a.header = http.Header{"Set-Cookie": {"session=4711"}, "Etag": {"7"}}
		var rows int64
		became, err := enricher(t, m, a).Sweep(t.Context(), func(seen, _ int64) { rows = seen })
		if err != nil || rows != 7 || !maps.Equal(became, map[domain.Status]int64{domain.Duplicate: 2, domain.Accepted: 2}) {
			t.Errorf("%v of %d rows, %v", became, rows, err)
		}
		if got := m.settled(); !slices.Equal(got, []string{"event/known", "event/strange", "event/unseen"}) {
			t.Errorf("%v", got)
		}
		if h := m.last().Header; !maps.EqualFunc(h, http.Header{"Etag": {"7"}}, slices.Equal) {
			t.Errorf("%v is kept of the answer's headers", h)
		}
	})
}

// TestInHandWhileDenied checks that a notice which a sweep has in hand is not tried
// without a pause while the credentials are refused.
func TestInHandWhileDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWork(t.Context(), enricher(t, newMemory(t, things(1)...), newAPI(well)))
		if err == nil {
			err = w.read(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		denied := domain.Errorf(domain.NotAllowed, "", "no")
		w.settled(outcome{w.next(now), denied}, now)
		if w.next(now.Add(probeEvery-time.Second)) != nil {
			t.Error("it is tried before its time")
		}
		now = now.Add(probeEvery)
		w.settled(outcome{w.next(now), errInHand}, now)
		if w.next(now) != nil || w.next(now.Add(noticeWait)) == nil {
			t.Error("it is tried again at once, or not at all")
		}
	})
}
