package postgres

import (
	"context"
	"database/sql"
)

// A KeyLoss is what cannot be opened any more although no erasure says so.
type KeyLoss struct {
	Deliveries int64 // whose header and body cannot be opened
	Subjects   int64 // keys of people, and of free text, that texts name
	First      int64 // position of the first record concerned; 0: there is none
}

// keyLossSQL looks for the keys that sealed forms name. A text has its key's id in
// base64url behind the nine characters of its prefix: 42 characters of that are 31
// bytes, which no two keys share.
const keyLossSQL = `
	WITH gone AS (
		SELECT decode(k, 'base64') AS id FROM log, json_array_elements_text(data->'keys') k WHERE kind = 'privacy.erased.v1'
	), bodies AS (
		SELECT d.position FROM delivery d
		WHERE NOT EXISTS (SELECT FROM data_key k WHERE k.id = substring(d.body FROM 1 FOR 32))
		AND NOT EXISTS (SELECT FROM gone g WHERE g.id = substring(d.body FROM 1 FOR 32))
	), named AS (
		SELECT substring(decode(rpad(translate(substring(t.value FROM 10 FOR 42), '-_', '+/'), 44, 'A'), 'base64') FROM 1 FOR 31) AS id, min(l.position) AS position
		FROM log l, json_each_text(l.personal) t
		WHERE l.personal IS NOT NULL AND t.value LIKE 'sealed.1.%'
		GROUP BY 1
	), texts AS (
		SELECT n.position FROM named n
		WHERE NOT EXISTS (SELECT FROM data_key k WHERE substring(k.id FROM 1 FOR 31) = n.id)
		AND NOT EXISTS (SELECT FROM gone g WHERE substring(g.id FROM 1 FOR 31) = n.id)
	)
	SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM texts),
		coalesce((SELECT min(position) FROM (SELECT position FROM bodies UNION ALL SELECT position FROM texts) p), 0)`

// LostKeys looks for keys that are not in the database and that no erasure has
// destroyed: somebody deleted them by hand. It reads the whole log.
func LostKeys(ctx context.Context, db *sql.DB) (l KeyLoss, err error) {
	err = db.QueryRowContext(ctx, keyLossSQL).Scan(&l.Deliveries, &l.Subjects, &l.First)
	return l, unreachable(err)
}
