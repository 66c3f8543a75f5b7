package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func doctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the configuration, the database and the projections",
		Long: `Checks everything that serve depends on and says what to do about what is wrong.
It exits with status 3 if something would keep serve from working. It starts the
private PostgreSQL if no database is configured.`,
		Example: "  daybook doctor\n  daybook doctor --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

// Verdicts of a check.
const (
	checkOK      = "ok"
	checkAssumed = "assumed" // works, on an assumption that nobody confirmed
	checkWarn    = "warn"
	checkFail    = "fail"
)

// checks are the findings of doctor.
type checks struct {
	rows   [][]projections.Cell
	failed int
}

func (c *checks) add(what, verdict, detail string) {
	if verdict == checkFail {
		c.failed++
	}
	c.rows = append(c.rows, []projections.Cell{{Text: what}, {Text: verdict}, {Text: detail}})
}

// addErr adds a check that is ok unless it failed.
func (c *checks) addErr(what string, err error, detail string) {
	if err == nil {
		c.add(what, checkOK, detail)
		return
	}
	detail = err.Error()
	if hint := domain.HintOf(err); hint != "" {
		detail += " → " + hint
	}
	c.add(what, checkFail, detail)
}

func (a *app) doctor(ctx context.Context) error {
	var c checks
	a.checkConfig(ctx, &c)
	a.checkDatabase(ctx, &c)
	err := a.printWhole(render.Answer{View: "doctor", Rows: c.rows, Columns: []projections.Column{
		{Name: "check", Type: projections.TypeText},
		{Name: "verdict", Type: projections.TypeText},
		{Name: "detail", Type: projections.TypeText},
	}})
	if err == nil && c.failed > 0 {
		err = domain.Errorf(domain.Differs, "doctor", "%d of %d checks failed", c.failed, len(c.rows))
	}
	return err
}

func (a *app) checkConfig(ctx context.Context, c *checks) {
	if a.config.file == "" {
		c.add("configuration", checkWarn, "there is no "+defaultConfigFile+"; run: daybook init")
	} else {
		c.add("configuration", checkOK, a.config.file)
	}
	if len(a.config.Sources) == 0 {
		c.add("sources", checkWarn, "none is configured: serve would take nothing in")
	}
	for _, s := range a.config.Sources {
		_, err := newSource(s)
		c.addErr("source "+s.Name, err, s.Provider)
		if s.Provider == "thinkific" && s.DefaultCurrency == "" {
			c.add("source "+s.Name, checkWarn, "there is no default_currency: Thinkific's orders state none, and are booked in none")
		}
		a.checkAPI(ctx, c, s)
		for _, assumed := range s.assumed() {
			c.add("source "+s.Name, checkAssumed, fmt.Sprintf("%s: compare with a real delivery, then set confirmed = true in its [source.%s]", assumed.What, assumed.Mapping))
		}
	}
}

func (a *app) checkDatabase(ctx context.Context, c *checks) {
	d, err := a.openDatabase(ctx)
	if err != nil {
		c.addErr("database", err, "")
		return
	}
	where := "DATABASE_URL"
	if d.embedded != nil {
		where = "private, in " + d.embedded.DataDir()
	}
	c.add("database", checkOK, "PostgreSQL "+d.version+", "+where)
	err = a.checkTables(ctx, c, d)
	if err = errors.Join(err, d.Close()); err != nil {
		c.addErr("database", err, "")
	}
}

func (a *app) checkTables(ctx context.Context, c *checks, d *database) (err error) {
	db, err := d.open(ctx, postgres.RoleProjector, 4)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	durability, err := postgres.CheckDurability(ctx, db)
	c.addErr("durability", err, fmt.Sprintf("fsync=%s full_page_writes=%s synchronous_commit=%s", durability.Fsync, durability.FullPageWrites, durability.SynchronousCommit))
	if err := checkGuards(ctx, c, db); err != nil {
		return err
	}
	c.addErr("end of the log", postgres.CheckHead(ctx, db), "head and last record agree")
	if err := a.checkSigning(ctx, c, d); err != nil {
		return err
	}
	if err := checkQuarantine(ctx, c, db); err != nil {
		return err
	}
	if err := a.checkSecrets(ctx, c, db); err != nil {
		return err
	}
	keys, err := postgres.NewKeyring(ctx, db, d.files)
	if err != nil {
		return err
	}
	c.addErr("keys", keys.Ready(ctx), d.files.Path()+"; back them up, apart from the database")
	if err := checkLostKeys(ctx, c, db); err != nil {
		return err
	}
	if err := a.checkBacklogs(ctx, c, db, keys); err != nil {
		return err
	}
	list, err := postgres.NewProjector(db, allProjections()).List(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		what := "projection " + s.Name
		switch {
		case s.Version == 0:
			c.add(what, checkOK, "will be made by serve")
		case s.StoppedAt > 0:
			c.add(what, checkFail, fmt.Sprintf("stopped before record %d: %s → daybook projection rebuild %s", s.StoppedAt, s.Reason, s.Name))
		case s.Version != s.Code:
			c.add(what, checkWarn, fmt.Sprintf("version %d; serve rebuilds it as version %d", s.Version, s.Code))
		default:
			c.add(what, checkOK, fmt.Sprintf("at %d of %d", s.Position, s.Head))
		}
	}
	return nil
}

// checkLostKeys looks for what cannot be opened although no erasure says so: a
// deleted key reads like an erasure, and is in no hash of the log.
func checkLostKeys(ctx context.Context, c *checks, db *sql.DB) error {
	lost, err := postgres.LostKeys(ctx, db)
	if err != nil {
		return err
	}
	if lost.First == 0 {
		c.add("keys of the log", checkOK, "every sealed form has its key, or an erasure that says why not")
		return nil
	}
	c.add("keys of the log", checkFail, fmt.Sprintf(
		"of %d deliveries and %d people or texts the key is gone and no erasure says so, from record %d on: somebody deleted it; restore data_key from a backup",
		lost.Deliveries, lost.Subjects, lost.First))
	return nil
}

// checkGuards looks at what keeps the log from being changed.
func checkGuards(ctx context.Context, c *checks, db *sql.DB) error {
	var triggers int
	var role string
	err := db.QueryRowContext(ctx, `SELECT count(*), current_user FROM pg_trigger
		WHERE tgname = 'append_only' AND tgenabled = 'A' AND tgrelid IN ('log'::regclass, 'delivery'::regclass, 'delivery_scope'::regclass, 'head'::regclass)`).
		Scan(&triggers, &role)
	if err != nil {
		return err
	}
	if triggers == 4 {
		c.add("append-only triggers", checkOK, "on log, delivery, delivery_scope and head")
	} else {
		c.add("append-only triggers", checkFail, fmt.Sprintf("%d of 4 are enabled: somebody could change the log", triggers))
	}
	if role == string(postgres.RoleProjector) {
		c.add("roles", checkOK, "sessions act as daybook_writer and daybook_projector")
	} else {
		c.add("roles", checkWarn, "the database user may not make or take roles; the triggers alone keep the log from being changed")
	}
	return nil
}

// checkQuarantine counts the deliveries that wait for a person.
func checkQuarantine(ctx context.Context, c *checks, db *sql.DB) error {
	n, err := openQuarantine(ctx, db)
	if err != nil {
		return err
	}
	if n == 0 {
		c.add("quarantine", checkOK, "empty")
		return nil
	}
	what := fmt.Sprintf("%d deliveries are recorded and not booked", n)
	var source, why string
	var most int64
	err = db.QueryRowContext(ctx, `SELECT source, concat_ws(' ', data->>'field', data->>'reason'), count(*) FROM log WHERE `+openQuarantined+`
		GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1`).Scan(&source, &why, &most)
	if err != nil {
		return err
	}
	if most > 1 {
		what += fmt.Sprintf(", %d of them of %s because %s", most, source, why)
	}
	c.add("quarantine", checkWarn, what+"; see: daybook delivery list --open")
	return nil
}

// openQuarantined says of a record that its delivery waits for a person.
const openQuarantined = `kind = 'intake.quarantined.v1'
	AND NOT EXISTS (SELECT FROM delivery r WHERE r.cause = log.delivery AND r.status = 'accepted')`

// openQuarantine returns how many deliveries wait for a person.
func openQuarantine(ctx context.Context, db *sql.DB) (n int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM log WHERE `+openQuarantined).Scan(&n)
	return n, err
}
