package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// A floorKind is a table to insert into: $1 is a random key, $2 the body.
type floorKind struct{ name, table, insert string }

// bare has what the least log of deliveries would need: a number, and a key of
// which there is one. eventTable is how an event table is usually written: four
// unique indexes and jsonb.
var (
	bare = floorKind{
		"pgbench",
		`CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text COLLATE "C" NOT NULL UNIQUE, body text NOT NULL)`,
		`INSERT INTO floor (key, body) VALUES ($1, $2)`,
	}
	eventTable = floorKind{
		"event table",
		`CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE, source text NOT NULL, key text NOT NULL, kind text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL, UNIQUE (source, key), UNIQUE (source, kind, id))`,
		`INSERT INTO floor (source, key, kind, data) VALUES ('acme', $1, 'learning.enrolled.v1', $2)`,
	}
)

// script returns the insertion as pgbench runs it.
func (k floorKind) script() string {
	insert := strings.NewReplacer("$1", ":key", "$2", ":body").Replace(k.insert)
	return "\\set key random(1, 9000000000000000000)\n" + insert + ";\n"
}

// A floor is the database alone: each client commits one row after the other,
// as large as the body of a delivery, by a prepared statement.
type floor struct {
	kind    floorKind
	url     string
	pgbench string // the program; "": there is none, the same goes through lib/pq
	script  string // file
	body    string
}

func openFloor(ctx context.Context, c *cluster, kind floorKind) (_ *floor, err error) {
	f := &floor{kind: kind, body: string(newDelivery(0).body)}
	name := strings.ReplaceAll(kind.name, " ", "_")
	if f.url, err = c.database(ctx, name); err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, f.url, postgres.RoleOwner, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, kind.table); err != nil {
		return nil, err
	}
	program := filepath.Join(c.binDir, "pgbench")
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("pgbench"); err != nil {
			return f, nil
		}
	}
	disk, err := c.disk(ctx)
	if err != nil {
		return nil, err
	}
	f.pgbench, f.script = program, filepath.Join(disk, name+".sql")
	return f, os.WriteFile(f.script, []byte(kind.script()), 0o600)
}

// describe says exactly what is measured.
func (f *floor) describe() string {
	how := "pgbench -n -M prepared"
	if f.pgbench == "" {
		how = `lib/pq, because pgbench is not installed ("make pg" installs it on Debian), prepared`
	}
	return fmt.Sprintf("%s, one INSERT a transaction of a body of %d bytes: %s", how, len(f.body), f.kind.table)
}

// run is a [load].
func (f *floor) run(ctx context.Context, n int, d time.Duration) (driven, error) {
	if f.pgbench == "" {
		return f.runPQ(ctx, n, d)
	}
	seconds := max(1, int(d.Round(time.Second)/time.Second))
	cmd := exec.CommandContext(ctx, f.pgbench, "-n", "-M", "prepared", "-f", f.script, "-D", "body="+f.body,
		"-c", strconv.Itoa(n), "-j", strconv.Itoa(min(n, runtime.NumCPU())), "-T", strconv.Itoa(seconds), f.url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return driven{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	done := driven{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	tps, err1 := find(out, `tps = ([0-9.]+)`)
	items, err2 := find(out, `transactions actually processed: ([0-9]+)`)
	done.items = int(items)
	done.elapsed = time.Duration(items / tps * float64(time.Second))
	return done, errors.Join(err1, err2)
}

func find(out []byte, expr string) (float64, error) {
	m := regexp.MustCompile(expr).FindSubmatch(out)
	if m == nil {
		return 1, fmt.Errorf("pgbench does not say %s:\n%s", expr, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

func (f *floor) runPQ(ctx context.Context, n int, d time.Duration) (_ driven, err error) {
	db, err := postgres.Open(ctx, f.url, postgres.RoleOwner, n)
	if err != nil {
		return driven{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	stmts := make([]*sql.Stmt, n)
	for i := range stmts {
		conn, err := db.Conn(ctx)
		if err != nil {
			return driven{}, err
		}
		defer conn.Close()
		if stmts[i], err = conn.PrepareContext(ctx, f.kind.insert); err != nil {
			return driven{}, err
		}
	}
	return drive(ctx, n, d, func(worker int) error {
		_, err := stmts[worker].ExecContext(ctx, strconv.FormatInt(rand.Int64(), 10), f.body)
		return err
	})
}
