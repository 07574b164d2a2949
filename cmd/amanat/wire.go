package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/migrations"
)

// poolConns bounds the connections to PostgreSQL of one process, the control
// plane's few left out.
const poolConns = 12

// app is all that a process is made of.
type app struct {
	conf   config.Config
	log    *slog.Logger
	mongo  *mongodb.DB    // nil without MONGODB_URI
	pg     *postgresql.DB // nil without PG_URL
	plane  *control.Plane // nil without PG_URL
	engine *cutover.Engine

	indexed bool // MongoDB's indexes were seen to before the first request
	process cutover.Process
	domains map[string]*cutover.Domain
}

// open connects to the databases, without waiting for them, and makes the
// domains known to an engine. Close it at the end.
func open(ctx context.Context, conf config.Config, log *slog.Logger) (_ *app, err error) {
	a := &app{conf: conf, log: log, process: thisProcess(conf), domains: map[string]*cutover.Domain{}}
	if err := a.openDatabases(ctx); err != nil {
		return nil, errors.Join(err, a.close(ctx))
	}
	a.engine = cutover.NewEngine(a.engineOptions())
	for _, d := range domain.All {
		if a.domains[d.Name], err = cutover.NewDomain(a.engine, a.spec(d.Definition)); err != nil {
			return nil, errors.Join(err, a.close(ctx))
		}
	}
	return a, nil
}

func (a *app) openDatabases(ctx context.Context) (err error) {
	if a.conf.MongoURI.IsSet() {
		if a.mongo, err = mongodb.Open(ctx, a.conf.MongoURI.Reveal(), a.conf.DBName); err != nil {
			return err
		}
	}
	if !a.conf.PGURL.IsSet() {
		return nil
	}
	if a.pg, err = postgresql.Open(ctx, pooled(a.conf.PGURL.Reveal())); err != nil {
		return err
	}
	a.plane, err = a.pg.Control(ctx)
	return err
}

// pooled asks for poolConns connections at most, unless the URL says how many.
// The driver's own default, four, would have reads wait behind copies.
func pooled(url string) string {
	if strings.Contains(url, "pool_max_conns=") {
		return url
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + "pool_max_conns=" + strconv.Itoa(poolConns)
}

func (a *app) engineOptions() cutover.Options {
	o := cutover.Options{Logger: a.log, Process: a.process}
	if a.plane != nil {
		o.Control = a.plane // a nil plane would not be a nil Control
	}
	return o
}

// thisProcess names this process. Its ID is another one after each start, so
// that a frozen predecessor cannot pass for it.
func thisProcess(conf config.Config) cutover.Process {
	host, _ := os.Hostname() // only shown
	name := conf.Instance
	if name == "" {
		name = host + ":" + strconv.Itoa(int(conf.Port))
	}
	return cutover.Process{ID: name + "-" + cutover.NewID().String()[16:], Host: host, PID: os.Getpid(),
		Version: buildVersion(), Started: cutover.Now()}
}

// program puts the domains to work on this process's databases.
func (a *app) program() (*domain.Program, error) {
	return domain.Open(domain.World{Conf: a.conf, Log: a.log, DB: a.domains, Leads: a.engine.Leads})
}

// spec describes a domain on the databases at hand.
func (a *app) spec(d cutover.Definition) cutover.Spec {
	s := cutover.Spec{Definition: d}
	if a.mongo != nil {
		s.Source, s.Scratch = a.mongo.Side(d), a.mongo.Scratch(d)
	}
	if a.pg != nil {
		s.Target = a.pg.Side(d)
	}
	return s
}

// close ends all connections.
func (a *app) close(ctx context.Context) (err error) {
	if a.plane != nil {
		a.plane.Close()
	}
	if a.pg != nil {
		a.pg.Close()
	}
	if a.mongo != nil {
		err = a.mongo.Close(context.WithoutCancel(ctx))
	}
	return err
}

// checkMigrated refuses a PostgreSQL database whose tables are not those that
// this program knows.
func (a *app) checkMigrated(ctx context.Context) error {
	if a.pg == nil {
		return nil
	}
	pending, err := a.pg.Pending(ctx, migrations.Source)
	if err != nil {
		return err
	}
	if pending > 0 {
		return fault.New(fault.Conflict, "PostgreSQL is not up to date, %d migrations are pending: run amanat migrate up", pending)
	}
	return nil
}

// withEngine runs do in a process that gives commands and serves nobody.
func (c *cli) withEngine(ctx context.Context, conf config.Config, do func(*app) error) error {
	a, err := open(ctx, conf, commandLogger(c, conf))
	if err != nil {
		return err
	}
	defer a.close(ctx)
	if err := a.checkMigrated(ctx); err != nil {
		return err
	}
	return do(a)
}

// commandLogger tells an operator only of what goes wrong, unless asked for
// more.
func commandLogger(c *cli, conf config.Config) *slog.Logger {
	level := conf.LogLevel
	if level == slog.LevelInfo {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
}

// needControl fails in a deployment that has no control plane.
func (a *app) needControl() error {
	if a.plane == nil {
		return fault.New(fault.Conflict, "a deployment on MongoDB alone does not move: set PG_URL")
	}
	return nil
}

// knownDomain fails for a domain that there is not.
func (a *app) knownDomain(name string) error {
	for _, domain := range a.engine.Domains() {
		if domain == name {
			return a.needControl()
		}
	}
	return fault.New(fault.Invalid, "there is no domain %q; there are %s", name, strings.Join(a.engine.Domains(), ", "))
}

// domainOrAll returns "" for all domains when args names none.
func (a *app) domainOrAll(args []string) (string, error) {
	if len(args) == 0 {
		return "", a.needControl()
	}
	return args[0], a.knownDomain(args[0])
}

// checkFlags refuses to start where a flag and the recorded phase disagree,
// and names what brings them together. It tells all that disagree at once.
// Of a domain that could not be opened yet, what MongoDB keeps must do.
func (a *app) checkFlags(ctx context.Context) error {
	var wrong []string
	for _, domain := range a.engine.Domains() {
		s := a.engine.State(domain)
		if s.Epoch == 0 {
			var err error
			if s, err = a.engine.MirroredState(ctx, domain); err != nil {
				return err
			}
		}
		if text := a.flagProblem(domain, s.Phase); text != "" {
			wrong = append(wrong, text)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s", strings.Join(wrong, "; "))
}

// flagProblem says how a domain's flag disagrees with its recorded phase; ""
// when it does not.
func (a *app) flagProblem(domain string, phase cutover.Phase) string {
	flag, variable := a.conf.Repo.Of(domain)
	switch {
	case phase != cutover.PhaseTarget && a.mongo == nil:
		return fmt.Sprintf("%s is recorded in phase %s, which needs MongoDB: set MONGODB_URI%s", domain, phase, orFinish(domain, phase))
	case flag.Allows(phase):
		return ""
	}
	return fmt.Sprintf("%s=%s, but %s is recorded in phase %s: set REPO_%s=%s, or %s",
		variable, flag, domain, phase, strings.ToUpper(domain), config.FlagFor(phase), bringTogether(domain, phase, flag))
}

func orFinish(domain string, phase cutover.Phase) string {
	if phase != cutover.PhaseMirror {
		return ""
	}
	return ", or end the move with it once more and: amanat cutover finish " + domain + " --execute"
}

// bringTogether says how a domain gets from its phase to what the flag expects.
func bringTogether(domain string, phase cutover.Phase, flag config.Flag) string {
	run := func(steps ...string) string {
		for i, s := range steps {
			steps[i] = "amanat cutover " + s + " " + domain + " --execute"
		}
		return "start with the flag as recorded and run: " + strings.Join(steps, ", then ")
	}
	switch {
	case phase == cutover.PhaseTarget:
		return "leave it: from phase target there is no way back"
	case flag == config.FlagMongo && phase == cutover.PhaseDual:
		return run("abandon")
	case flag == config.FlagMongo:
		return run("rollback", "abandon")
	case flag == config.FlagDual && phase == cutover.PhaseSource:
		return run("start")
	case flag == config.FlagDual:
		return run("rollback")
	case phase == cutover.PhaseSource:
		return run("start", "switch")
	}
	return run("switch")
}
