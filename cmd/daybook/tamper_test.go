package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An attack is what a superuser does to the log with the triggers off.
type attack struct {
	name string
	do   func(f *forger) (position int64) // that log verify must name
	// Only what is kept outside the database shows it.
	outside bool
}

// statements is an attack by SQL.
func statements(position int64, list ...string) func(*forger) int64 {
	return func(f *forger) int64 {
		for _, s := range list {
			f.exec(s)
		}
		return position
	}
}

// attacks are those that do more than change a value of a column: see
// columnAttacks.
func attacks(head int64) []attack {
	const p = 40 // in the middle of the samples
	last := head - 1
	return []attack{
		{name: "delete a record", do: statements(p, `DELETE FROM log WHERE position = 40`)},
		{name: "delete the first record", do: statements(1, `DELETE FROM log WHERE position = 1`)},
		{name: "delete the last record", do: statements(head, fmt.Sprintf(`DELETE FROM log WHERE position = %d`, head))},
		{name: "delete a delivery with its records", do: func(f *forger) (position int64) {
			var records int
			if err := f.db.QueryRow(`DELETE FROM delivery WHERE position = (SELECT max(position) FROM delivery WHERE position <= 40) RETURNING position, records`).Scan(&position, &records); err != nil {
				f.Fatal(err)
			}
			f.exec(`DELETE FROM log WHERE position >= $1 AND position < $1 + $2`, position, records)
			return position
		}},
		{name: "delete a delivery", do: func(f *forger) (position int64) {
			if err := f.db.QueryRow(`DELETE FROM delivery WHERE position = (SELECT max(position) FROM delivery WHERE position <= 40) RETURNING position`).Scan(&position); err != nil {
				f.Fatal(err)
			}
			return position
		}},
		{name: "delete a scope", do: func(f *forger) (position int64) {
			if err := f.db.QueryRow(`DELETE FROM delivery_scope WHERE ctid = (SELECT ctid FROM delivery_scope ORDER BY position DESC LIMIT 1) RETURNING position`).Scan(&position); err != nil {
				f.Fatal(err)
			}
			return position
		}},
		{name: "insert a record", do: func(f *forger) int64 {
			f.exec(`UPDATE log SET position = -position WHERE position >= 40`)
			f.exec(`UPDATE log SET position = 1 - position WHERE position < 0`)
			f.exec(`INSERT INTO log SELECT 40, left(id, 25) || CASE right(id, 1) WHEN '0' THEN '1' ELSE '0' END, kind, source, occurred_at, recorded_at,
				delivery, cause, test, data, personal, leaf, root FROM log WHERE position = 39`)
			f.exec(`UPDATE head SET position = position + 1`)
			return p
		}},
		{name: "insert a record behind the end", do: func(f *forger) int64 {
			f.exec(fmt.Sprintf(`INSERT INTO log SELECT position + 1, left(id, 25) || CASE right(id, 1) WHEN '0' THEN '1' ELSE '0' END, kind, source, occurred_at,
				recorded_at, delivery, cause, test, data, personal, leaf, root FROM log WHERE position = %d`, f.head))
			return f.head + 1
		}},
		{name: "insert a delivery", do: statements(head+1, fmt.Sprintf(`INSERT INTO delivery SELECT %d, 1, left(id, 25) || CASE right(id, 1) WHEN '0' THEN '1' ELSE '0' END,
				source, topic, translate(key, 'ABC', 'BCA'), status, test, flags, verified, received_at, cause, header, body, body_mac, fetched, replay
				FROM delivery WHERE position = %d`, head+1, last))},
		{name: "insert a scope", do: statements(last, fmt.Sprintf(`INSERT INTO delivery_scope SELECT source, repeat('A', 43), position FROM delivery WHERE position = %d`, last))},
		{name: "insert a scope of nothing", do: statements(head+7, fmt.Sprintf(`INSERT INTO delivery_scope VALUES ('tahdah', repeat('A', 43), %d)`, head+7))},
		{name: "swap two records", do: statements(p,
			`UPDATE log SET position = 0 WHERE position = 40`, `UPDATE log SET position = 40 WHERE position = 47`, `UPDATE log SET position = 47 WHERE position = 0`)},
		{name: "swap what two records say", do: statements(p, `UPDATE log l SET kind = o.kind, data = o.data, personal = o.personal, leaf = o.leaf FROM log o
			WHERE l.position IN (40, 47) AND o.position IN (40, 47) AND l.position <> o.position`)},
		{name: "swap two deliveries", do: statements(last, fmt.Sprintf(`UPDATE delivery SET position = 0 WHERE position = %d`, last),
			fmt.Sprintf(`UPDATE delivery SET position = %d WHERE position = %d`, last, head), fmt.Sprintf(`UPDATE delivery SET position = %d WHERE position = 0`, head))},
		{name: "truncate the log", do: statements(1, `TRUNCATE log`)},
		{name: "truncate the deliveries", do: statements(1, `TRUNCATE delivery`)},
		{name: "truncate the scopes", do: func(f *forger) (position int64) {
			if err := f.db.QueryRow(`SELECT min(position) FROM delivery_scope`).Scan(&position); err != nil {
				f.Fatal(err)
			}
			f.exec(`TRUNCATE delivery_scope`)
			return position
		}},
		{name: "cut off the end", do: statements(head-19, fmt.Sprintf(`DELETE FROM log WHERE position > %d`, head-20),
			fmt.Sprintf(`DELETE FROM delivery WHERE position > %d`, head-20))},
		{name: "cut off the end and set the head back", do: statements(head-20, fmt.Sprintf(`DELETE FROM log WHERE position > %d`, head-20),
			fmt.Sprintf(`DELETE FROM delivery WHERE position > %d`, head-20), fmt.Sprintf(`UPDATE head SET position = %d`, head-20))},
		{name: "delete the head", do: statements(0, `DELETE FROM head`)},
		{name: "set the head back", do: statements(last, `UPDATE head SET position = position - 1`)},
		{name: "change the head's time", do: statements(head, `UPDATE head SET recorded_at = recorded_at + interval '1 microsecond'`)},
		{name: "make the head's time infinite", do: statements(head, `UPDATE head SET recorded_at = 'infinity'`)},
		{name: "change the head's hashes", do: statements(head, `UPDATE head SET frontier = set_byte(frontier, 5, get_byte(frontier, 5) # 1)`)},
		{name: "change a tile", do: statements(1, `UPDATE tile SET root = set_byte(root, 5, get_byte(root, 5) # 1) WHERE level = 0 AND n = 0`)},
		{name: "insert a tile", do: statements(1024+1, `INSERT INTO tile SELECT level, 4, root FROM tile WHERE level = 0 AND n = 0`)},
		{name: "rewrite a record and its leaf", do: func(f *forger) int64 {
			f.exec(`UPDATE log SET occurred_at = occurred_at + interval '1 day' WHERE position = 40`)
			f.rewriteLeaf(p)
			return p
		}},
		{name: "rewrite a delivery and the leaves", do: func(f *forger) int64 {
			f.exec(`UPDATE delivery SET verified = 'hmac-sha256, secret 2' WHERE position = $1`, last)
			f.rewriteLeaf(last)
			return last
		}},
		{name: "rewrite a record and all hashes", outside: true, do: func(f *forger) int64 {
			f.exec(`UPDATE log SET occurred_at = occurred_at + interval '1 day' WHERE position = 40`)
			f.rewrite(p)
			return p
		}},
		{name: "rewrite a delivery and all hashes", outside: true, do: func(f *forger) int64 {
			f.exec(`UPDATE delivery SET verified = 'hmac-sha256, secret 2' WHERE position = $1`, last)
			f.rewrite(last)
			return last
		}},
		{name: "leave a delivery out and rewrite all hashes", outside: true, do: func(f *forger) int64 {
			f.exec(`DELETE FROM log WHERE position = $1`, last)
			f.exec(`DELETE FROM delivery WHERE position = $1`, last)
			f.exec(`UPDATE log SET position = $1 WHERE position = $2`, last, f.head)
			f.exec(`UPDATE delivery SET position = $1 WHERE position = $2`, last, f.head)
			f.head--
			f.rewrite(last)
			return head // one is missing, wherever
		}},
		{name: "roll back to a backup", outside: true, do: func(f *forger) int64 {
			f.rollBack(f.head - 20)
			return f.head + 1
		}},
		{name: "begin anew", outside: true, do: func(f *forger) int64 {
			f.exec(`TRUNCATE log, delivery, delivery_scope, tile`)
			f.exec(`UPDATE head SET position = 0, frontier = '', recorded_at = 'epoch'`)
			return 1
		}},
	}
}

// columnAttacks are one for every column of the tables of the log: its value is
// changed by as little as its type knows.
func columnAttacks(t *testing.T, url string) (list []attack) {
	db := postgrestest.Open(t, url, postgres.RoleOwner)
	rows, err := db.QueryContext(t.Context(), `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name IN ('log', 'delivery', 'delivery_scope') ORDER BY 1, ordinal_position`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column, typ string
		if err := rows.Scan(&table, &column, &typ); err != nil {
			t.Fatal(err)
		}
		list = append(list, attack{name: "change " + table + "." + column, do: changeColumn(table, column, typ)})
	}
	if err := rows.Err(); err != nil || len(list) < 30 {
		t.Fatal(len(list), err)
	}
	return list
}

func changeColumn(table, column, typ string) func(*forger) int64 {
	changed := map[string]string{
		"text":                     `CASE WHEN left(%[1]s, 1) = '0' THEN '1' ELSE '0' END || substr(%[1]s, 2)`,
		"json":                     `overlay(%[1]s::text placing 'x' from 3 for 1)::json`,
		"bytea":                    `set_byte(%[1]s, length(%[1]s) - 1, get_byte(%[1]s, length(%[1]s) - 1) # 1)`,
		"boolean":                  `NOT %[1]s`,
		"integer":                  `%[1]s + 1`,
		"bigint":                   `%[1]s + 1000000`,
		"timestamp with time zone": `%[1]s + interval '1 microsecond'`,
	}[typ]
	if table+"."+column == "delivery.status" {
		changed = `CASE %[1]s WHEN 'accepted' THEN 'unrecognized' ELSE 'accepted' END`
	}
	value := column + ` IS NOT NULL`
	if typ == "text" {
		value = column + ` <> '' OR NOT EXISTS (SELECT FROM ` + table + ` WHERE ` + column + ` <> '')`
	}
	return func(f *forger) (position int64) {
		f.Helper()
		row := fmt.Sprintf(`ctid = (SELECT ctid FROM %[1]s WHERE %[2]s ORDER BY abs(position - 40), position LIMIT 1)`, table, value)
		if err := f.db.QueryRow(fmt.Sprintf(`SELECT position FROM %s WHERE %s`, table, row)).Scan(&position); err != nil {
			f.Fatalf("no row with a %s: %v", column, err)
		}
		f.exec(`UPDATE ` + table + ` SET ` + column + ` = ` + fmt.Sprintf(changed, column) + ` WHERE ` + row)
		return position
	}
}

// logVerified runs "log verify --json" and returns what it says.
func logVerified(t *testing.T, url string, args ...string) (v postgres.LogVerification, status int) {
	t.Helper()
	stdout, stderr, status := daybook(t, url, append([]string{"log", "verify", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	return v, status
}

// TestTamper attacks the log and what is derived from it in every way, each time
// another copy of it, and wants the command that should find it to name the
// position or the row.
func TestTamper(t *testing.T) {
	scene := newCrimeScene(t)
	t.Run("log", func(t *testing.T) { tamperLog(t, scene) })
	t.Run("kind", func(t *testing.T) { tamperKind(t, scene) })
	t.Run("receipt", func(t *testing.T) { tamperReceipt(t, scene) })
	t.Run("projection", func(t *testing.T) { tamperProjections(t, scene) })
}

// newForger returns somebody who may do anything to the database at url.
func newForger(t *testing.T, scene *crimeScene, url string) *forger {
	t.Helper()
	f := &forger{t, postgrestest.Open(t, url, postgres.RoleOwner), scene.head}
	for _, table := range []string{"log", "delivery", "delivery_scope", "head", "tile"} {
		f.exec(`ALTER TABLE ` + table + ` DISABLE TRIGGER ALL`)
	}
	f.exec(`ALTER TABLE log DROP CONSTRAINT log_position_check`)
	f.exec(`ALTER TABLE delivery DROP CONSTRAINT delivery_position_check, DROP CONSTRAINT replay_has_cause`)
	return f
}

func tamperLog(t *testing.T, scene *crimeScene) {
	checkpoint := []string{"--checkpoint", scene.checkpoint, "--key", scene.vkey}
	whole := scene.copy(t)
	if v, status := logVerified(t, whole, checkpoint...); status != exitDone || v.Result != domain.OK || v.Vouched != scene.head {
		t.Fatalf("the log that nobody touched: status %d, %+v", status, v)
	}
	for _, attack := range append(attacks(scene.head), columnAttacks(t, whole)...) {
		t.Run(attack.name, func(t *testing.T) {
			url := scene.copy(t)
			position := attack.do(newForger(t, scene, url))
			v, status := logVerified(t, url)
			if attack.outside {
				if status != exitDiffers || v.Result != domain.Incomplete || len(v.Missing) == 0 {
					t.Errorf("without a checkpoint: status %d, %s, missing %v, %v", status, v.Result, v.Missing, v.Findings)
				}
				v, status = logVerified(t, url, checkpoint...)
			}
			if status != exitDiffers || v.Result != domain.Fail || len(v.Findings) == 0 {
				t.Fatalf("status %d, %s, %v", status, v.Result, v.Findings)
			}
			switch first := v.Findings[0]; {
			case attack.outside && first.Until > 0:
				if position < first.Position || position > first.Until {
					t.Errorf("it is somewhere in %d to %d, want %d", first.Position, first.Until, position)
				}
			case first.Position != position:
				t.Errorf("the first finding is at %d, want %d: %v", first.Position, position, v.Findings[:min(3, len(v.Findings))])
			}
		})
	}
}

// tamperKind has a record of a kind that this daybook does not know, whose hashes
// are right: nothing is wrong, and nobody here can say what it says.
func tamperKind(t *testing.T, scene *crimeScene) {
	url := scene.copy(t)
	f := newForger(t, scene, url)
	f.exec(`UPDATE log SET kind = 'credits.forgiven.v1' WHERE position = $1`, f.head)
	f.rewrite(f.head)
	v, status := logVerified(t, url)
	if status != exitDiffers || v.Result != domain.Incomplete || !strings.Contains(strings.Join(v.Missing, "\n"), "credits.forgiven.v1") {
		t.Errorf("status %d, %s, missing %v, %v", status, v.Result, v.Missing, v.Findings)
	}
}

// tamperReceipt makes the attacks that leave a log which agrees with itself: the
// receipt of a delivery that is not what it was names its record.
func tamperReceipt(t *testing.T, scene *crimeScene) {
	for _, attack := range attacks(scene.head) {
		if !attack.outside {
			continue
		}
		t.Run(attack.name, func(t *testing.T) {
			url := scene.copy(t)
			position := attack.do(newForger(t, scene, url))
			for scene.receipts[position].Records == nil {
				position-- // the delivery's first record
			}
			v, status := logVerified(t, url, "--receipt", scene.receipt(t, position))
			if status != exitDiffers || v.Result != domain.Fail || len(v.Findings) == 0 || v.Findings[0].Position < position {
				t.Fatalf("status %d, %s, %v", status, v.Result, v.Findings)
			}
		})
	}
}

// tamperProjections changes, takes away and adds a row in every table of every
// projection, and moves its cursor.
func tamperProjections(t *testing.T, scene *crimeScene) {
	db := postgrestest.Open(t, scene.copy(t), postgres.RoleOwner)
	for _, p := range allProjections() {
		for _, table := range p.Tables {
			relation := p.Name + "." + table.Name()
			var rows int
			if err := db.QueryRow(`SELECT count(*) FROM ` + relation).Scan(&rows); err != nil {
				t.Fatal(err)
			}
			// The key stays: a row under another key is one taken away and one added.
			column := table.Columns()[table.KeyColumns()]
			name := pq.QuoteIdentifier(column.Name)
			one := ` WHERE ctid = (SELECT min(ctid) FROM ` + relation + `)`
			var cells []string
			for _, c := range table.Columns() {
				cells = append(cells, cellsOf[c.Type].other)
			}
			statements := map[string]string{"insert into ": `INSERT INTO ` + relation + ` VALUES (` + strings.Join(cells, ", ") + `)`}
			if rows > 0 {
				statements["change "] = fmt.Sprintf(`UPDATE %s SET %s = `+cellsOf[column.Type].changed+`%s`, relation, name, name, one)
				statements["delete from "] = `DELETE FROM ` + relation + one
			}
			for name, statement := range statements {
				t.Run(name+relation, func(t *testing.T) { spoil(t, scene, p, table.Name(), statement) })
			}
		}
		cursor := fmt.Sprintf(` WHERE follower = '%s'`, postgres.Follower(p))
		t.Run("set the cursor of "+p.Name+" back", func(t *testing.T) { spoil(t, scene, p, "", `UPDATE cursor SET position = 0`+cursor) })
		t.Run("set the cursor of "+p.Name+" beyond the log", func(t *testing.T) { spoil(t, scene, p, "", `UPDATE cursor SET position = position + 1`+cursor) })
	}
}

// cellsOf says how a cell of each type is changed, and what another is.
var cellsOf = map[projections.Type]struct{ changed, other string }{
	projections.TypeText:    {`coalesce(%s, '') || 'x'`, `'x'`},
	projections.TypeInteger: {`coalesce(%s, 0) + 1`, `999999`},
	projections.TypeDecimal: {`coalesce(%s, 0) + 1`, `999999`},
	projections.TypeTime:    {`coalesce(%s, 'epoch') + interval '1 microsecond'`, `'2026-03-01T09:00:00Z'`},
	projections.TypeBool:    {`%s IS NOT TRUE`, `true`},
}

// spoil changes something and wants projection verify to say FAIL, and to name the
// row.
func spoil(t *testing.T, scene *crimeScene, p *projections.Projection, table, statement string) {
	url := scene.copy(t)
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	result, err := owner.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatal(statement, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
	said, status := verified(t, url, p.Name)
	v := said[p.Name]
	if status != exitDiffers || v.Result != domain.Fail {
		t.Errorf("status %d, %s: %s", status, v.Result, v.Reason)
	}
	if table != "" && !slices.ContainsFunc(v.Differences, func(d postgres.RowDifference) bool {
		return d.Table == table && len(strings.Join(d.Key, "")) > 0
	}) {
		t.Errorf("no row of %s is named: %v", table, v.Differences)
	}
}
