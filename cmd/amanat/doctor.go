package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/config"
)

// checkTime bounds one check: some go through whole collections.
const checkTime = time.Minute

func (c *cli) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this deployment, and what mends it",
		Long: `Say what is wrong with this deployment, and what mends it. It changes nothing, and
goes on with what it can check when the environment has mistakes or a database is
away. The exit status is 3 when a check fails; a warning fails nothing.

  environment  what is set and what it means; never a secret's value
  postgres     whether it answers, its version, how long it takes
  mongo        the same, and what that server can do
  migrations   whether all were run
  tables       PostgreSQL's tables, columns, indexes, constraints, triggers and guards
               against what the code and the migrations have
  keys         whether PostgreSQL's newest rows have what unique rules derive from them
  indexes      MongoDB's against what the stores need, and why one could be missing
  clocks       this machine's and each process's against the databases'
  processes    alive, lost in the last hour, behind, of unlike versions
  flags        REPO_* against the recorded phases
  kept state   MongoDB's copy of each domain's state against the control plane
  seals        writes held back without anybody to let them go
  copies       who copies, how late, open gaps, stray writes
  writers      whether something but the engine writes to a domain

What "writers" can see. On PostgreSQL a guard on every table refuses whoever is not
the engine; the check is that the guards are there (see tables) and lists who wrote
past them on record. A superuser who switches triggers off leaves no trace there. On
MongoDB nothing can refuse: a document without a revision that was inserted, or
whose updatedAt was set, after the domain came under the engine was written by
something else. What others change within a document that the engine has written
does not show here, nor do reads: in phases dual and mirror "amanat verify" finds
the former. Without PG_URL nobody knows when the engine took over; then the last
hour is looked at.`,
		Example: "  amanat doctor\n  amanat doctor --json",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := c.newDoctor()
			err := d.examine(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.printFindings(d.findings, asJSON); err != nil {
				return err
			}
			return heldByFaults(d.findings)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// state says how bad a finding is.
type state string

const (
	fine   state = "ok"
	warned state = "warn"
	failed state = "fail"
)

// finding is one line of the doctor's.
type finding struct {
	Check  string `json:"check"`
	About  string `json:"about,omitempty"` // a variable, domain, process …
	State  state  `json:"state"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// doctor goes through the checks, and remembers what later ones need.
type doctor struct {
	*app
	environ  []string
	log      *slog.Logger
	now      func() time.Time // this machine's clock
	findings []finding
	check    string // under way

	has       map[need]bool // what is there to check with
	away      map[need]string
	answers   []clockAnswer
	states    map[string]cutover.State // as recorded
	processes []cutover.Process
}

func (c *cli) newDoctor() *doctor {
	d := &doctor{environ: c.environ, now: c.now, has: map[need]bool{}, away: map[need]string{}}
	if d.now == nil {
		d.now = time.Now
	}
	// What goes wrong is a finding, and is not told twice.
	d.log = slog.New(slog.DiscardHandler)
	return d
}

func (d *doctor) ok(about, format string, args ...any) {
	d.find(about, fine, "", format, args...)
}

func (d *doctor) warn(about, remedy, format string, args ...any) {
	d.find(about, warned, remedy, format, args...)
}

func (d *doctor) fail(about, remedy, format string, args ...any) {
	d.find(about, failed, remedy, format, args...)
}

func (d *doctor) find(about string, s state, remedy, format string, args ...any) {
	d.findings = append(d.findings, finding{d.check, about, s, fmt.Sprintf(format, args...), remedy})
}

// need is something without which a check cannot be made.
type need string

const (
	needPostgres need = "PostgreSQL"
	needMongo    need = "MongoDB"
	needTables   need = "the control plane's tables"
)

// checks are made in this order: the first ones find out what is there.
var checks = []struct {
	name  string
	do    func(*doctor, context.Context) error
	needs []need
}{
	{"postgres", (*doctor).checkPostgres, nil},
	{"mongo", (*doctor).checkMongo, nil},
	{"migrations", (*doctor).checkMigrations, []need{needPostgres}},
	{"tables", (*doctor).checkTables, []need{needTables}},
	{"keys", (*doctor).checkKeys, []need{needTables}},
	{"indexes", (*doctor).checkIndexes, []need{needMongo}},
	{"processes", (*doctor).checkProcesses, []need{needTables}},
	{"clocks", (*doctor).checkClocks, nil},
	{"flags", (*doctor).checkPhases, nil},
	{"kept state", (*doctor).checkKept, []need{needMongo}},
	{"seals", (*doctor).checkSeals, []need{needTables}},
	{"copies", (*doctor).checkCopies, []need{needTables}},
	{"events", (*doctor).checkEvents, nil},
	{"writers", (*doctor).checkPostgresWriters, []need{needTables}},
	{"writers", (*doctor).checkMongoWriters, []need{needMongo}},
}

// examine makes all checks that can be made.
func (d *doctor) examine(ctx context.Context) error {
	conf := d.checkEnvironment()
	conf = d.usable(ctx, conf)
	if !conf.MongoURI.IsSet() && !conf.PGURL.IsSet() {
		return nil // the environment's mistakes say why
	}
	a, err := open(ctx, conf, d.log)
	if err != nil {
		return err
	}
	defer a.close(ctx)
	d.app = a
	for _, c := range checks {
		d.check = c.name
		if missing := d.missing(c.needs); missing == "" {
			d.run(ctx, c.do)
		} else if why := d.away[missing]; why != "" {
			d.warn("", "", "not checked: %s", why)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// missing returns the first need that is not met.
func (d *doctor) missing(needs []need) need {
	for _, n := range needs {
		if !d.has[n] {
			return n
		}
	}
	return ""
}

// run makes one check; that it could not be made is a finding too.
func (d *doctor) run(ctx context.Context, do func(*doctor, context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := do(d, ctx); err != nil {
		d.fail("", "", "could not be checked: %s", explain(err))
	}
}

// checkEnvironment returns the configuration as far as it is right.
func (d *doctor) checkEnvironment() config.Config {
	d.check = "environment"
	conf, wrong := config.Inspect(d.environ, config.Serve)
	_, command := config.Inspect(d.environ, config.Command)
	fatal := map[string]bool{}
	for _, m := range command {
		fatal[m.Name] = true
	}
	told := map[string]bool{}
	for _, m := range wrong {
		told[m.Name] = true
		if fatal[m.Name] {
			d.fail(m.Name, m.Remedy, "%s", m.Problem)
		} else {
			d.warn(m.Name, m.Remedy, "%s, and amanat serve needs it", m.Problem)
		}
	}
	for _, s := range conf.Settings(d.environ) {
		if !told[s.Name] {
			d.ok(s.Name, "%s: %s", s.Value, s.About)
		}
	}
	return conf
}

// usable leaves out a database whose URL its driver cannot use.
func (d *doctor) usable(ctx context.Context, conf config.Config) config.Config {
	if conf.MongoURI.IsSet() {
		db, err := mongodb.Open(ctx, conf.MongoURI.Reveal(), conf.DBName)
		if err == nil {
			err = db.Close(ctx)
		}
		if err != nil {
			d.fail("MONGODB_URI", "set for example MONGODB_URI=mongodb://127.0.0.1:27017", "%s", explain(err))
			conf.MongoURI = config.DatabaseURL{}
		}
	}
	if conf.PGURL.IsSet() {
		db, err := postgresql.Open(ctx, conf.PGURL.Reveal())
		if err != nil {
			d.fail("PG_URL", "set for example PG_URL=postgres://amanat@127.0.0.1:5432/amanat", "%s", explain(err))
			conf.PGURL = config.DatabaseURL{}
		} else {
			db.Close()
		}
	}
	return conf
}

func (c *cli) printFindings(all []finding, asJSON bool) error {
	if asJSON {
		return c.printJSON(append([]finding{}, all...))
	}
	var rows [][]string
	for _, f := range all {
		found := f.Found
		if f.Remedy != "" {
			found += " → " + f.Remedy
		}
		rows = append(rows, []string{f.Check, string(f.State), f.About, found})
	}
	return c.printTable("There is nothing to check.", []string{"CHECK", "STATE", "ABOUT", "FOUND → REMEDY"}, rows)
}

func heldByFaults(all []finding) error {
	n := 0
	for _, f := range all {
		if f.State == failed {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return heldError{"one check fails"}
	}
	return heldError{fmt.Sprintf("%d checks fail", n)}
}
