package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/migrations"
)

// Checks of the two databases: what answers, and whether it is as the code
// needs it.

// clockAnswer is how far this machine's clock is ahead of a server's, exact to
// half the time that asking took.
type clockAnswer struct {
	server string
	ahead  time.Duration
	took   time.Duration
}

// ask asks a server three times, since the first answer may wait for a
// connection, and keeps the quickest, which is also the most exact one.
func (d *doctor) ask(ctx context.Context, server string, ask func(context.Context) (time.Time, error)) (clockAnswer, error) {
	best := clockAnswer{server: server, took: -1}
	for range 3 {
		begin, before := time.Now(), d.now()
		at, err := ask(ctx)
		if err != nil {
			return best, err
		}
		took := time.Since(begin)
		if best.took < 0 || took < best.took {
			best.took, best.ahead = took, before.Add(took/2).Sub(at)
		}
		if at.IsZero() {
			return best, nil // it does not say
		}
	}
	d.answers = append(d.answers, best)
	return best, nil
}

func (d *doctor) checkPostgres(ctx context.Context) error {
	if d.pg == nil {
		return nil
	}
	var s postgresql.Server
	a, err := d.ask(ctx, "PostgreSQL", func(ctx context.Context) (at time.Time, err error) {
		s, err = d.pg.Server(ctx)
		return s.Now, err
	})
	if err != nil {
		d.away[needPostgres] = "PostgreSQL does not answer"
		d.away[needTables] = d.away[needPostgres]
		d.fail(d.conf.PGURL.String(), "start that server, or set PG_URL", "does not answer: %s", oneLine(err.Error(), 200))
		return nil
	}
	d.has[needPostgres] = true
	d.ok(d.conf.PGURL.String(), "PostgreSQL %s answers in %s", s.Version, a.took.Round(10*time.Microsecond))
	return nil
}

func (d *doctor) checkMongo(ctx context.Context) error {
	if d.mongo == nil {
		return nil
	}
	var s mongodb.Server
	a, err := d.ask(ctx, "MongoDB", func(ctx context.Context) (at time.Time, err error) {
		s, err = d.mongo.Server(ctx)
		return s.Now, err
	})
	if err != nil {
		d.away[needMongo] = "MongoDB does not answer"
		d.fail(d.conf.MongoURI.String(), "start that server, or set MONGODB_URI", "does not answer: %s", oneLine(err.Error(), 200))
		return nil
	}
	d.has[needMongo] = true
	d.ok(d.conf.MongoURI.String(), "%s answers in %s; %s", productText(s), a.took.Round(10*time.Microsecond), abilityText(s))
	return nil
}

func productText(s mongodb.Server) string {
	if s.FerretDB != "" {
		return fmt.Sprintf("FerretDB (%s), which speaks MongoDB %s,", s.FerretDB, s.Version)
	}
	return "MongoDB " + s.Version
}

// abilityText says what the server can do, and that the stores ask for less: a
// write of one document is atomic, and several go by a commit record.
func abilityText(s mongodb.Server) string {
	switch {
	case s.Transactions() && s.Sharded:
		return "a sharded cluster, with transactions and change streams, which the stores do without"
	case s.Transactions():
		return "replica set " + s.SetName + ", with transactions and change streams, which the stores do without"
	case s.FerretDB != "":
		return "no transactions, no change streams, no partial indexes: the stores do without"
	}
	return "a single server, without transactions and change streams: the stores do without"
}

func (d *doctor) checkMigrations(ctx context.Context) error {
	pending, err := d.pg.Pending(ctx, migrations.Source)
	switch {
	case err != nil:
		d.away[needTables] = "what migrations were run is not known"
		return err
	case pending > 0:
		d.away[needTables] = "migrations are pending"
		d.fail("", "amanat migrate up", "%d migrations are pending", pending)
		return nil
	}
	d.has[needTables] = true
	d.states, err = d.plane.States(ctx)
	d.ok("", "all were run")
	return err
}

func (d *doctor) checkTables(ctx context.Context) error {
	diffs, err := postgresql.Compare(ctx, d.pg, domain.Definitions(), migrations.Source)
	if err != nil {
		return err
	}
	gone, err := d.pg.Missing(ctx, migrations.Source)
	if err != nil {
		return err
	}
	diffs = slices.DeleteFunc(diffs, func(diff string) bool { return toldAs(diff, gone) })
	for _, diff := range diffs {
		if strings.HasSuffix(diff, ": not expected") {
			d.warn("", "drop it; a table may be kept in another schema, an index needs a COMMENT that says what it is for", "%s", diff)
			continue
		}
		d.fail("", "make it as the migrations have it", "%s", oneLine(diff, 200))
	}
	for _, g := range gone {
		d.fail(g.Table, "run its statement of "+g.File+" again", "%s %s is missing or does not work", g.What, g.Name)
	}
	if len(diffs)+len(gone) == 0 {
		d.ok("", "as the code and the migrations have them")
	}
	return nil
}

// toldAs says that a difference is one of what is gone, of which its migration is
// known.
func toldAs(diff string, gone []postgresql.Declared) bool {
	return slices.ContainsFunc(gone, func(g postgresql.Declared) bool {
		return g.What == "index" && strings.Contains(diff, "index "+g.Name+" is missing")
	})
}

// checkKeys looks at the newest rows; "amanat verify" compares all.
func (d *doctor) checkKeys(ctx context.Context) error {
	faults := len(d.findings)
	for _, def := range domain.Definitions() {
		unmended, err := d.pg.UnmendedKeys(ctx, def)
		if err != nil {
			return err
		}
		if len(unmended) > 0 {
			d.warn(def.Name, "amanat migrate up", "old rows may lack what unique rules derive: %s", strings.Join(unmended, ", "))
		}
		stale, err := d.pg.StaleKeys(ctx, def)
		if err != nil {
			return err
		}
		for _, key := range stale {
			d.fail(def.Name, "amanat migrate keys", "%s has other keys than unique rules derive from it: somebody else has written it", key)
		}
	}
	if len(d.findings) == faults {
		d.ok("", "the newest rows have what unique rules derive from them")
	}
	return nil
}

func (d *doctor) checkIndexes(ctx context.Context) error {
	missing, declared, err := d.mongo.MissingIndexes(ctx)
	if err != nil {
		return err
	}
	const remedy = "amanat serve makes it at its start"
	switch len(missing) {
	case 0:
		d.ok("", "all %d are there", declared)
		return nil
	case declared:
		d.warn("", remedy, "none of %d is there: amanat serve has not started on this database", declared)
		return nil
	}
	for _, m := range missing {
		if m.Unique {
			d.fail(m.Collection, "mend that; "+remedy, "%s is missing: %s", m, m.Why)
		} else {
			d.warn(m.Collection, remedy, "%s is missing: %s", m, m.Why)
		}
	}
	return nil
}

// Clocks that differ by more than these are told. Leases do not depend on them;
// lags, gates, quotes and the times in records do.
const (
	skewWarned = 500 * time.Millisecond
	skewFailed = 5 * time.Second
)

func (d *doctor) checkClocks(context.Context) error {
	for _, a := range d.answers {
		d.skew("this machine", a.server, a.ahead, a.took/2)
	}
	for _, p := range d.processes {
		if p.Alive {
			d.skew(p.ID, "PostgreSQL", time.Duration(p.ClockAheadMS*float64(time.Millisecond)), 0)
		}
	}
	return nil
}

func (d *doctor) skew(who, server string, ahead, exact time.Duration) {
	const remedy = "keep the machines' clocks in step: chrony, or another client of NTP"
	text := "as " + server + "'s"
	if off := ahead.Round(time.Millisecond); off < 0 {
		text = fmt.Sprintf("%s behind %s's", -off, server)
	} else if off > 0 {
		text = fmt.Sprintf("%s ahead of %s's", off, server)
	}
	switch off := ahead.Abs() - exact; {
	case off > skewFailed:
		d.fail(who, remedy, "its clock is %s", text)
	case off > skewWarned:
		d.warn(who, remedy, "its clock is %s", text)
	default:
		d.ok(who, "its clock is %s", text)
	}
}
