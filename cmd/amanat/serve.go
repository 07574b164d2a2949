package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/web"
)

const (
	// grace is how long requests in flight may take after a stop was asked for.
	grace = 30 * time.Second
	// leaveTime is how long leaving the control plane may take.
	leaveTime = 3 * time.Second
	// lookTime is how long a start waits for what PostgreSQL says of its tables.
	lookTime = 5 * time.Second
	// indexEvery is how often MongoDB is asked for, to make its indexes, while it is away.
	indexEvery = time.Second
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the API",
		Long: `Serve the API, deliver events between domains, and take part in their moves, until
SIGTERM or an interrupt: then it takes no new requests, finishes those in flight,
and leaves the control plane.

It does not start on tables that are not up to date, nor where a flag REPO_<DOMAIN>
and the recorded phase of a domain disagree.`,
		Example: "  PG_URL=postgres://amanat@127.0.0.1:5432/amanat JWT_SECRET=… CODE_SECRET=… amanat serve",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Read(c.environ, config.Serve)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: conf.LogLevel}))
			slog.SetDefault(log)
			collectSeldom(c.environ)
			return serve(cmd.Context(), conf, log)
		},
	}
}

// collectSeldom lets garbage grow to a few times what is in use before it is
// collected: a server has little in use, some ten megabytes, and would spend a
// tenth of its time on collecting. GOGC, when set, counts.
func collectSeldom(environ []string) {
	if !slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, "GOGC=") }) {
		debug.SetGCPercent(garbagePercent)
	}
}

const garbagePercent = 400

// serve runs until ctx ends, and then stops gracefully.
func serve(ctx context.Context, conf config.Config, log *slog.Logger) (err error) {
	a, err := open(ctx, conf, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close(ctx)) }()
	if err := a.ready(ctx); err != nil {
		return err
	}
	p, err := a.program()
	if err != nil {
		return err
	}
	address := net.JoinHostPort(conf.Host, strconv.Itoa(int(conf.Port)))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cannot listen on %s: set another PORT or HOST; amanat serve", address)
	}
	return a.run(ctx, p, listener)
}

// ready says whether this process may serve, as things are recorded.
func (a *app) ready(ctx context.Context) error {
	looking, stop := context.WithTimeout(ctx, lookTime)
	err := a.checkMigrated(looking)
	stop()
	if fault.Is(err, fault.Unavailable) && a.mongo != nil {
		a.log.Warn("PostgreSQL does not answer; a domain whose primary is MongoDB can be served without it", "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	if err := a.engine.Open(ctx); err != nil {
		return err
	}
	if err := a.checkFlags(ctx); err != nil {
		return err
	}
	if a.mongoIsPrimary() {
		a.indexed = a.ensureIndexes(ctx) // its unique rules need them from the first write on
	}
	return nil
}

// mongoIsPrimary says that some domain is written to MongoDB.
func (a *app) mongoIsPrimary() bool {
	for _, domain := range a.engine.Domains() {
		if a.engine.State(domain).Phase.PrimaryIsSource() {
			return a.mongo != nil
		}
	}
	return false
}

// ensureIndexes makes MongoDB's indexes; false when it is away. Where old
// records break a rule, the index is missing and the records are served all the
// same.
func (a *app) ensureIndexes(ctx context.Context) bool {
	if pings(ctx, a.mongo) != nil {
		return false
	}
	err := a.mongo.EnsureIndexes(ctx)
	if fault.Is(err, fault.Unavailable) {
		return false
	}
	if err != nil {
		a.log.Warn("not all of MongoDB's indexes could be made", "error", err)
	}
	return true
}

// indexLater makes MongoDB's indexes once it is there. Nobody waits for that
// where it is no primary.
func (a *app) indexLater(ctx context.Context) {
	if a.mongo == nil || a.indexed {
		return
	}
	for told := false; !a.ensureIndexes(ctx); told = true {
		if !told {
			a.log.Warn("MongoDB does not answer; its indexes are seen to when it does")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(indexEvery):
		}
	}
	a.log.Info("MongoDB's indexes are seen to")
}

// run serves on listener until ctx ends, and then stops in the reverse order of
// its start: requests need the jobs' events, and both need the lease.
func (a *app) run(ctx context.Context, p *domain.Program, listener net.Listener) error {
	a.engine.Run(context.WithoutCancel(ctx))
	defer a.leave(ctx)
	h := a.newHealth(ctx)
	stopJobs := startJobs(ctx, append(p.Jobs(), a.indexLater, h.watch))
	defer stopJobs()
	a.log.Info("serving", "address", listener.Addr().String(), "version", buildVersion(), "process", a.process.ID,
		"mongo", a.conf.MongoURI, "postgres", a.conf.PGURL)
	err := web.Serve(ctx, listener, a.newAPI(p, h).Handler(), grace)
	a.log.Info("stopping")
	return err
}

// leave gives up the lease.
func (a *app) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := a.engine.Close(ctx); err != nil {
		a.log.Warn("did not leave the control plane; the lease runs out by itself", "error", err)
	}
}

// startJobs runs the jobs until the function that it returns is called, which
// waits for their end.
func startJobs(ctx context.Context, jobs []func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, job := range jobs {
		running.Go(func() { job(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

func (a *app) newAPI(p *domain.Program, h *health) *web.API {
	api := web.New(web.Options{Authenticator: p.Users, Logger: a.log, Version: buildVersion(),
		Origins: []string{a.conf.FrontendURL.Origin()}, Health: h.report})
	p.Routes(api)
	return api
}
