package postgres

import (
	"database/sql"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
)

// found is a delivery that is in the log already, or earlier in the same batch.
type found struct {
	position int64 // of its first record
	records  int
	id       string
	status   domain.Status
	body     [32]byte
	origin   int64                  // position of the delivery that it replays, else its own
	booked   bool                   // its facts are in the log, by itself or by a replay
	planned  []domain.ReceiptRecord // its records, if it is of the same batch
}

// existing is what the log, and the batch so far, hold of the deliveries of a
// batch.
type existing struct {
	byKey   map[[2]string][]found // source and key
	byScope map[[2]string]found   // source and scope: the last one
	byID    map[string]found

	// What replays need to know.
	replayed map[string]found    // by id: those that are to be replayed
	replays  map[string]found    // by id of the delivery that they replay
	booked   map[[2]string]found // source and scope: the last one that is booked
}

func newExisting() *existing {
	return &existing{
		make(map[[2]string][]found), make(map[[2]string]found), make(map[string]found),
		make(map[string]found), make(map[string]found), make(map[[2]string]found),
	}
}

// repeated returns the delivery that p repeats, if it repeats one, and the
// first delivery that it contradicts, if it does that instead.
func (e *existing) repeated(p *prepared) (same, contradicted *found) {
	if f, ok := e.byID[p.ID.String()]; ok {
		return &f, nil
	}
	if p.key == "" {
		var last found
		for _, scope := range p.scopes {
			f, ok := e.byScope[[2]string{p.Source, scope}]
			if !ok || f.body != p.body {
				return nil, nil
			}
			last = f
		}
		return &last, nil
	}
	list := e.byKey[[2]string{p.Source, p.key}]
	for i := range list {
		if list[i].body == p.body {
			return &list[i], nil
		}
	}
	return nil, e.firstOf(p, "")
}

// firstOf returns the first delivery with the key of p, other than the one of that
// id; nil if there is none.
func (e *existing) firstOf(p *prepared, but string) (first *found) {
	list := e.byKey[[2]string{p.Source, p.key}]
	for i := range list {
		if list[i].id != but && (first == nil || list[i].position < first.position) {
			first = &list[i]
		}
	}
	return first
}

// add says that p is in the log now.
func (e *existing) add(p *prepared, f found) {
	if p.key != "" {
		key := [2]string{p.Source, p.key}
		e.byKey[key] = append(e.byKey[key], f)
	}
	for _, scope := range p.scopes {
		e.byScope[[2]string{p.Source, scope}] = f
		if f.booked && (!p.Replay || p.key == "") { // as lookup.sql has it
			e.booked[[2]string{p.Source, scope}] = f
		}
	}
	if p.Replay {
		e.replays[p.Cause.String()] = f
	}
}

// scanLookup reads the answer to lookup.sql for what was asked.
func scanLookup(rows *sql.Rows, asked lookup) (h head, e *existing, err error) {
	e = newExisting()
	seen := false
	for rows.Next() {
		var (
			position         int64
			recordedAt       time.Time
			frontier, root   []byte
			body             []byte
			how, id, status  sql.NullString
			ord, at, records sql.NullInt64
			origin           sql.NullInt64
			booked           sql.NullBool
		)
		if err := rows.Scan(&position, &recordedAt, &frontier, &root, &how, &ord, &at, &records, &id, &status, &body, &origin, &booked); err != nil {
			return head{}, nil, err
		}
		if !seen {
			seen = true
			if h, err = newHead(position, recordedAt, frontier, root); err != nil {
				return head{}, nil, err
			}
		}
		f := found{
			position: at.Int64, records: int(records.Int64), id: id.String, status: domain.Status(status.String),
			origin: origin.Int64, booked: booked.Bool,
		}
		copy(f.body[:], body)
		switch how.String {
		case "key":
			e.byKey[asked.keys[ord.Int64-1]] = append(e.byKey[asked.keys[ord.Int64-1]], f)
		case "scope":
			e.byScope[asked.scopes[ord.Int64-1]] = f
		case "id":
			e.byID[f.id] = f
		case "replayed":
			e.replayed[f.id] = f
		case "replay":
			e.replays[asked.replays[ord.Int64-1]] = f
		case "booked":
			e.booked[asked.replayScopes[ord.Int64-1]] = f
		}
	}
	if err := rows.Err(); err != nil {
		return head{}, nil, err
	}
	if !seen {
		return head{}, nil, domain.Errorf(domain.Differs, "read head", "there is no head row")
	}
	return h, e, nil
}

// A lookup is what is asked about a batch, in the order in which it is asked.
type lookup struct {
	keys, scopes, replayScopes [][2]string // each with its source
	ids, replays               []string
}

// newLookup returns what has to be asked about the batch.
func newLookup(batch []*prepared, byID bool) lookup {
	var l lookup
	asked := make(map[[2]string]bool)
	for _, p := range batch {
		if key := [2]string{p.Source, p.key}; p.key != "" && !asked[key] {
			asked[key] = true
			l.keys = append(l.keys, key)
		}
		for _, s := range p.scopes {
			l.scopes = append(l.scopes, [2]string{p.Source, s})
		}
		if byID {
			l.ids = append(l.ids, p.ID.String())
		}
		if p.Replay {
			l.replays = append(l.replays, p.Cause.String())
			for _, s := range p.scopes {
				l.replayScopes = append(l.replayScopes, [2]string{p.Source, s})
			}
		}
	}
	return l
}

// args returns the parameters of lookup.sql.
func (l lookup) args() []any {
	keySources, keys := split(l.keys)
	scopeSources, scopes := split(l.scopes)
	bookedSources, booked := split(l.replayScopes)
	return []any{keySources, keys, scopeSources, scopes, pq.StringArray(l.ids), pq.StringArray(l.replays), bookedSources, booked}
}

// split returns the first and the second of each pair.
func split(pairs [][2]string) (first, second pq.StringArray) {
	for _, p := range pairs {
		first, second = append(first, p[0]), append(second, p[1])
	}
	return first, second
}
