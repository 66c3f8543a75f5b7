package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// thing is the body of a notice, and of its answer, of a made-up provider.
type thing struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// noticer is a provider whose notices are things, and whose list is all of them.
type noticer struct{}

func (noticer) Noticed(body []byte) (n domain.BadgesNoticed, ok bool) {
	var t thing
	err := json.Unmarshal(body, &t)
	return domain.BadgesNoticed{Notice: t.ID, EventType: t.Type}, err == nil && t.ID != ""
}

func (noticer) Ask(n domain.BadgesNoticed) (domain.Query, string) {
	return domain.Query{Path: "events/" + n.Notice}, "events/" + n.Notice
}

func (noticer) Confirm(n domain.BadgesNoticed, answer []byte) error {
	var t thing
	switch err := json.Unmarshal(answer, &t); {
	case err != nil || t.ID == "":
		return domain.Errorf(domain.Invalid, "confirm", "it is no answer")
	case t.Type != n.EventType:
		return domain.Errorf(domain.Differs, "", "it is a %s", t.Type)
	}
	return nil
}

func (noticer) AnswerKey(notice string) string { return payload.Key("event", notice) }

func (noticer) Resources() []string { return []string{"events"} }
func (noticer) Pace() (int, int)    { return 60_000, 1 }
func (noticer) List(string, int64, time.Time) (domain.Query, error) {
	return domain.Query{Path: "list"}, nil
}

func (noticer) Split(_ string, _ int64, body []byte) (domain.Page, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "split", "%w", err)
	}
	var page domain.Page
	for _, row := range list {
		n, _ := noticer{}.Noticed(row)
		page.Rows = append(page.Rows, domain.Row{ID: n.Notice, Body: row})
	}
	return page, nil
}

// memory is a log in memory.
type memory struct {
	t testing.TB

	mu         sync.Mutex
	deliveries []domain.Delivery // position - 1
	cursor     int64
	recorded   func() error // what Record and Append end with, after they have appended; nil: success
}

func newMemory(t testing.TB, things ...thing) *memory {
	m := &memory{t: t}
	for _, n := range things {
		m.notice(n)
	}
	return m
}

// notice appends a notice.
func (m *memory) notice(n thing) ulid.ULID {
	body, err := json.Marshal(n)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d := domain.Delivery{ID: ulid.Make(), ReceivedAt: time.Now(), Body: body, Translation: domain.Translation{Key: payload.Key(n.ID)}}
	m.deliveries = append(m.deliveries, d)
	return d.ID
}

func (m *memory) Notices(_ context.Context, _ string, after int64) (list []domain.Notice, upTo int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, d := range m.deliveries {
		if d.Fetched == "" && int64(i) >= after && len(list) < 2 { // small pages
			list = append(list, domain.Notice{Position: int64(i + 1), Delivery: d.ID, RecordedAt: d.ReceivedAt, Body: d.Body})
		}
	}
	if len(list) == 2 {
		return list, list[1].Position, nil
	}
	return list, int64(len(m.deliveries)), nil
}

func (m *memory) Statuses(_ context.Context, _ string, keys []string) (map[string]domain.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	statuses := make(map[string]domain.Status)
	for _, d := range m.deliveries {
		if slices.Contains(keys, d.Key) && statuses[d.Key] == "" {
			statuses[d.Key] = domain.Accepted
			if d.Reason != "" {
				statuses[d.Key] = domain.Unrecognized
			}
		}
	}
	return statuses, nil
}

func (m *memory) Cursor(context.Context, string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cursor, nil
}

// Advance checks the law of the cursor: what is before it is settled.
func (m *memory) Advance(_ context.Context, _ string, position int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if position <= m.cursor || position > int64(len(m.deliveries)) {
		m.t.Errorf("cursor moves from %d to %d of %d", m.cursor, position, len(m.deliveries))
	}
	m.cursor = position
	for _, d := range m.deliveries[:position] {
		n, _ := noticer{}.Noticed(d.Body)
		if d.Fetched == "" && m.count("event/"+n.Notice)+m.count("unverified/"+n.Notice) == 0 {
			m.t.Errorf("the cursor is at %d and %s is not settled", position, n.Notice)
		}
	}
	return nil
}

func (m *memory) count(key string) (n int) {
	for _, d := range m.deliveries {
		if d.Key == key {
			n++
		}
	}
	return n
}

func (m *memory) Check(r domain.Request) error {
	if bytes.Contains(r.Body, []byte("unreadable")) {
		return errors.New("it cannot be read")
	}
	return nil
}

func (m *memory) Record(ctx context.Context, r domain.Request, cause ulid.ULID) (domain.Receipt, error) {
	id := path.Base(r.Fetched)
	return m.Append(ctx, domain.Delivery{
		ID: ulid.Make(), ReceivedAt: r.ReceivedAt, Body: r.Body, Header: r.Header, Cause: cause, Fetched: r.Fetched,
		Translation: domain.Translation{Key: payload.Key("event", id)},
	})
}

func (m *memory) Append(_ context.Context, d domain.Delivery) (domain.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	same := slices.IndexFunc(m.deliveries, func(o domain.Delivery) bool { return o.Key == d.Key })
	if same >= 0 && !bytes.Equal(m.deliveries[same].Body, d.Body) {
		m.t.Errorf("%s is appended with other bytes", d.Key)
	}
	if same < 0 {
		m.deliveries = append(m.deliveries, d)
	}
	if m.recorded != nil {
		if err := m.recorded(); err != nil {
			return domain.Receipt{}, err
		}
	}
	return domain.Receipt{Status: domain.Accepted}, nil
}

func (m *memory) last() domain.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deliveries[len(m.deliveries)-1]
}

// settled returns the keys of what was fetched, in order, with the reason of what
// was given up.
func (m *memory) settled() (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		if d.Fetched == "" {
			continue
		}
		key := d.Key
		for _, f := range d.Facts {
			key += ": " + f.Event.(domain.BadgesUnverified).Reason
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// api is the provider's API: it answers each path by itself.
type api struct {
	mu    sync.Mutex
	asked map[string][]time.Time
	most  int // at once
	now   int

	answer func(path string) (int, string) // status 0: the connection breaks
	header http.Header
	takes  time.Duration
}

func newAPI(answer func(path string) (int, string)) *api {
	return &api{asked: make(map[string][]time.Time), answer: answer}
}

// well answers that every thing is a badge, and that there are none in the list.
func well(path string) (int, string) {
	if path == "list" {
		return 200, "[]"
	}
	return 200, fmt.Sprintf(`{"id":%q,"type":"badge"}`, path[len("events/"):])
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	a.mu.Lock()
	a.asked[path] = append(a.asked[path], time.Now())
	a.now++
	a.most = max(a.most, a.now)
	answer, takes := a.answer, a.takes
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.now--
		a.mu.Unlock()
	}()
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	status, body := answer(path)
	if status == 0 {
		return nil, errors.New("connection reset by peer")
	}
	header := a.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (a *api) becomes(answer func(path string) (int, string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *api) count(paths ...string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for path, at := range a.asked {
		if len(paths) == 0 && path != "list" || slices.Contains(paths, path) {
			n += len(at)
		}
	}
	return n
}

func enricher(t testing.TB, m *memory, a *api) *Enricher {
	t.Helper()
	client, err := New(Config{BaseURL: "https://api.example.com/v1", PerMinute: 60_000, AtOnce: 3, MaxBytes: 1000, Transport: a})
	if err != nil {
		t.Fatal(err)
	}
	return NewEnricher(EnricherConfig{
		Source: "acme", Client: client, Noticer: noticer{}, Events: noticer{}, Resource: "events", Log: m, Recorder: m, AtOnce: 3,
		Logger: slog.New(slog.DiscardHandler),
	})
}

// running starts the enricher. It ends with the test, or before when stop is called.
func running(t *testing.T, e *Enricher, wake <-chan struct{}) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, wake) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func things(n int) (list []thing) {
	for i := range n {
		list = append(list, thing{fmt.Sprint(i), "badge"})
	}
	return list
}

func answered(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("event/%d", i))
	}
	slices.Sort(keys)
	return keys
}

func TestEnrich(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemory(t, things(20)...), newAPI(well)
		a.takes = time.Second
		wake := make(chan struct{}, 1)
		running(t, enricher(t, m, a), wake)
		time.Sleep(20 * time.Second)
		if diff := slices.Compare(m.settled(), answered(20)); diff != 0 {
			t.Errorf("%v", m.settled())
		}
		if a.most > 3 || a.count() != 20 {
			t.Errorf("%d at once, %d in all", a.most, a.count())
		}
		id := m.notice(thing{"new", "badge"})
		wake <- struct{}{}
		time.Sleep(2 * time.Second)
		last := m.last()
		if last.Key != "event/new" || last.Cause != id || last.Fetched != "events/new" || string(last.Body) != `{"id":"new","type":"badge"}` {
			t.Errorf("%+v", last)
		}
		time.Sleep(time.Minute)
		if at, _ := m.Cursor(t.Context(), ""); at != 42 {
			t.Errorf("the cursor is at %d of 42", at)
		}
	})
}

// TestOutage has the API be down for three days, in each way that it can be:
// every notice is settled soon after it is back, and none is given up.
func TestOutage(t *testing.T) {
	always := func(status int, body string) func(string) (int, string) {
		return func(string) (int, string) { return status, body }
	}
	for name, tt := range map[string]struct {
		answer func(string) (int, string)
		header http.Header
		takes  time.Duration
	}{
		"500":           {answer: always(500, "")},
		"429":           {answer: always(429, ""), header: http.Header{"Retry-After": {"60"}}},
		"garbage":       {answer: always(200, "<html>")},
		"no answer":     {answer: always(200, `{"message":"come back later"}`)},
		"redirect":      {answer: always(302, ""), header: http.Header{"Location": {"https://evil.example.com/"}}},
		"refused":       {answer: always(400, "{}")},
		"oversized":     {answer: always(200, `"`+strings.Repeat("x", 2000)+`"`)},
		"reset":         {answer: always(0, "")},
		"hanging":       {answer: well, takes: time.Hour},
		"unauthorized":  {answer: always(401, "{}")},
		"not permitted": {answer: always(403, "{}")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, a := newMemory(t, things(8)...), newAPI(tt.answer)
				a.header, a.takes = tt.header, tt.takes
				running(t, enricher(t, m, a), nil)
				time.Sleep(3 * 24 * time.Hour)
				if got := m.settled(); len(got) > 0 {
					t.Errorf("settled while it was down: %v", got)
				}
				a.mu.Lock()
				a.answer, a.header, a.takes = well, nil, 0
				a.mu.Unlock()
				time.Sleep(12 * time.Minute) // a wait of ten minutes, and a circuit that is open
				if got := m.settled(); !slices.Equal(got, answered(8)) {
					t.Errorf("%v", got)
				}
				if n := a.count(); n > 40_000 {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, things(2)...)
		a := newAPI(func(path string) (int, string) {
			if path == "events/0" {
				return 500, ""
			}
			return well(path)
		})
		e := enricher(t, m, a)
		running(t, e, nil)
		time.Sleep(7*24*time.Hour - time.Minute)
		at, _ := m.Cursor(t.Context(), "")
		if got := m.settled(); !slices.Equal(got, []string{"event/1"}) || at != 0 {
			t.Errorf("after less than 7 days: %v, the cursor is at %d", got, at)
		}
		if s := e.Status(); s.Pending != 1 || time.Since(s.Oldest) < 6*24*time.Hour || s.Failed == nil {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		if got := m.settled(); len(got) != 2 || !strings.HasPrefix(got[1], "unverified/0: no answer for 7 days: ") || !strings.Contains(got[1], "500") {
			t.Errorf("after 7 days: %q", got)
		}
		if s := e.Status(); s.Pending != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNotThere(t *testing.T) {
	for status := range map[int]bool{404: true, 410: true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t, things(1)...)
			a := newAPI(func(string) (int, string) { return status, `{"message":"not found"}` })
			first := m.last().ID
			running(t, enricher(t, m, a), nil)
			time.Sleep(time.Hour - time.Second)
			if got := m.settled(); len(got) > 0 {
				t.Errorf("within an hour: %v", got)
			}
			time.Sleep(11 * time.Minute)
			got := m.settled()
			if len(got) != 1 || !strings.HasPrefix(got[0], "unverified/0: ") {
				t.Errorf("after an hour: %v", got)
			}
			if last := m.last(); last.Cause != first || string(last.Body) != `{"message":"not found"}` {
				t.Errorf("%+v", last)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // it was not there yet
		m := newMemory(t, things(1)...)
		a := newAPI(func(string) (int, string) { return 404, `{}` })
		running(t, enricher(t, m, a), nil)
		time.Sleep(30 * time.Minute)
		a.becomes(well)
		time.Sleep(11 * time.Minute)
		if got := m.settled(); !slices.Equal(got, answered(1)) {
			t.Errorf("%v", got)
		}
	})
}

func TestSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemory(t, thing{"0", "template"}), newAPI(well)
		stop := running(t, enricher(t, m, a), nil)
		time.Sleep(50 * time.Second)
		if got := m.settled(); len(got) > 0 {
			t.Errorf("within a minute: %v", got)
		}
		time.Sleep(5 * time.Minute)
		stop()
		asked := a.count()
		if got := m.settled(); !slices.Equal(got, []string{"unverified/0: it is a badge"}) || asked < 2 {
			t.Errorf("%v, asked for %d times", got, asked)
		}
		m.cursor = 0 // as in a log that was restored
		running(t, enricher(t, m, a), nil)
		time.Sleep(time.Hour)
		if a.count() != asked {
			t.Errorf("what was given up is asked for again")
		}
	})
	synctest.Test(t, func(t *testing.T) { // a mistake that is soon over
		m := newMemory(t, things(1)...)
		a := newAPI(func(string) (int, string) { return 200, `{"type":"template"}` })
		running(t, enricher(t, m, a), nil)
		time.Sleep(20 * time.Second)
		a.becomes(well)
		time.Sleep(time.Minute)
		if got := m.settled(); !slices.Equal(got, answered(1)) {
			t.Errorf("%v", got)
		}
	})
}

// TestUnreadable has the API answer with less than the thing for a while. If that is
// soon over, nobody has to know; if not, the answer is recorded as it is.
func TestUnreadable(t *testing.T) {
	for _, tt := range []struct {
		lasts time.Duration
		want  string
	}{{20 * time.Second, "badge"}, {time.Hour, "badge unreadable"}} {
		synctest.Test(t, func(t *testing.T) {
			m, a := newMemory(t, thing{"0", "badge"}), newAPI(func(path string) (int, string) {
				status, body := well(path)
				return status, strings.Replace(body, "}", `,"is":"badge unreadable"}`, 1)
			})
			running(t, enricher(t, m, a), nil)
			time.Sleep(tt.lasts)
			a.becomes(func(path string) (int, string) {
				status, body := well(path)
				return status, strings.Replace(body, "}", `,"is":"badge"}`, 1)
			})
			time.Sleep(10 * time.Minute)
			if got, want := m.settled(), answered(1); !slices.Equal(got, want) || !bytes.Contains(m.last().Body, []byte(`"is":"`+tt.want+`"`)) {
				t.Errorf("%v: %s", got, m.last().Body)
			}
		})
	}
}

// TestDenied checks that a source is left alone while its credentials are
// refused, but for a probe now and then.
func TestDenied(t *testing.T) {
	for _, n := range []int{0, 50} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t, things(n)...)
			a := newAPI(func(string) (int, string) { return 401, "{}" })
			e := enricher(t, m, a)
			running(t, e, nil)
			time.Sleep(time.Hour)
			if asked := a.count() + a.count("list"); asked < 10 || asked > 20 {
				t.Errorf("%d notices: asked %d times in an hour", n, asked)
			}
			if s := e.Status(); s.Denied.IsZero() || s.Pending != n {
				t.Errorf("%+v", s)
			}
			a.becomes(well)
			time.Sleep(6 * time.Minute)
			if s := e.Status(); !s.Denied.IsZero() || s.Pending != 0 || !slices.Equal(m.settled(), answered(n)) {
				t.Errorf("%+v: %v", s, m.settled())
			}
			time.Sleep(sweepAgain)
			if s := e.Status(); s.Swept.IsZero() {
				t.Errorf("nothing was swept: %+v", s)
			}
		})
	}
}

// TestDeniedForLong checks that nothing is given up for a token that nobody has
// replaced.
func TestDeniedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemory(t, things(3)...), newAPI(func(string) (int, string) { return 403, "{}" })
		running(t, enricher(t, m, a), nil)
		time.Sleep(30 * 24 * time.Hour)
		if got := m.settled(); len(got) > 0 {
			t.Errorf("%v", got)
		}
		a.becomes(well)
		time.Sleep(6 * time.Minute)
		if got := m.settled(); !slices.Equal(got, answered(3)) {
			t.Errorf("%v", got)
		}
	})
}

// TestOutcomeUnknown checks that an answer which may be in the log is appended
// again with the same bytes, and never fetched again.
func TestOutcomeUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := newMemory(t, things(1)...), 0
		a := newAPI(func(path string) (int, string) {
			n++
			if path == "list" {
				return 200, "[]"
			}
			return 200, fmt.Sprintf(`{"id":"0","type":"badge","fetched":%d}`, n) // other bytes each time
		})
		left := 5
		m.recorded = func() error {
			if left--; left >= 0 {
				return domain.Errorf(domain.Unavailable, "append", "connection lost")
			}
			return nil
		}
		running(t, enricher(t, m, a), nil)
		time.Sleep(5 * time.Minute)
		if got := m.settled(); !slices.Equal(got, answered(1)) || a.count() != 1 || left >= 0 {
			t.Errorf("%v, asked %d times", got, a.count())
		}
	})
}

// TestCrash stops an enricher between fetching and appending, and another one in
// the middle of its waits: the next one has everything to go on with.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemory(t, things(5)...), newAPI(func(string) (int, string) { return 503, "" })
		stop := running(t, enricher(t, m, a), nil)
		time.Sleep(90 * time.Second)
		stop()
		a.becomes(well)
		m.recorded = func() error { return domain.Errorf(domain.Unavailable, "append", "connection lost") }
		stop = running(t, enricher(t, m, a), nil)
		time.Sleep(time.Second)
		stop() // three are in the log, and nobody was told so
		before := a.count()
		m.recorded = nil
		running(t, enricher(t, m, a), nil)
		time.Sleep(time.Second)
		if got := m.settled(); !slices.Equal(got, answered(5)) {
			t.Errorf("%v", got)
		}
		if n := a.count() - before; n != 2 {
			t.Errorf("%d were fetched after the crash, want 2", n)
		}
	})
}

func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, things(3)...)
		begun := time.Now()
		time.Sleep(time.Hour)
		if _, err := m.Record(t.Context(), domain.Request{Fetched: "events/1", Body: []byte("{}")}, ulid.ULID{}); err != nil {
			t.Fatal(err)
		}
		n, oldest, err := enricher(t, m, newAPI(well)).Backlog(t.Context())
		if err != nil || n != 2 || !oldest.Equal(begun) {
			t.Errorf("%d since %v, %v", n, oldest, err)
		}
	})
}
