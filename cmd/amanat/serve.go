package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/config"
	"github.com/amanat-dev/amanat/fault"
	"github.com/amanat-dev/amanat/web"
)

const (
	// grace is how long requests in flight may take after a stop was asked for.
	grace = 30 * time.Second
	// leaveTime is how long leaving the control plane may take.
	leaveTime = 3 * time.Second
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
			return serve(cmd.Context(), conf, log)
		},
	}
}

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
	s, err := newServices(a)
	if err != nil {
		return err
	}
	address := net.JoinHostPort(conf.Host, strconv.Itoa(int(conf.Port)))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cannot listen on %s: set another PORT or HOST; amanat serve", address)
	}
	return a.run(ctx, s, listener)
}

// ready says whether this process may serve, as things are recorded.
func (a *app) ready(ctx context.Context) error {
	err := a.checkMigrated(ctx)
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
	if err := a.checkFlags(); err != nil {
		return err
	}
	a.ensureIndexes(ctx)
	return nil
}

// ensureIndexes makes MongoDB's indexes. Where old records break a rule, the
// index is missing and the records are served all the same.
func (a *app) ensureIndexes(ctx context.Context) {
	if a.mongo == nil {
		return
	}
	err := a.mongo.Ping(ctx) // each index would wait for a server that is away
	if err == nil {
		err = a.mongo.EnsureIndexes(ctx)
	}
	if err != nil {
		a.log.Warn("not all of MongoDB's indexes could be made", "error", err)
	}
}

// run serves on listener until ctx ends, and then stops in the reverse order of
// its start: requests need the jobs' events, and both need the lease.
func (a *app) run(ctx context.Context, s *services, listener net.Listener) error {
	a.engine.Run(context.WithoutCancel(ctx))
	defer a.leave(ctx)
	stopJobs := s.startJobs(ctx, a)
	defer stopJobs()
	a.log.Info("serving", "address", listener.Addr().String(), "version", buildVersion(), "process", a.process.ID,
		"mongo", a.conf.MongoURI, "postgres", a.conf.PGURL)
	err := web.Serve(ctx, listener, a.newAPI(s).Handler(), grace)
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

// startJobs runs the jobs until the function that it gives is called, which
// waits for their end.
func (s *services) startJobs(ctx context.Context, a *app) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var jobs sync.WaitGroup
	for _, job := range s.jobs(a) {
		jobs.Go(func() { job(ctx) })
	}
	return func() {
		cancel()
		jobs.Wait()
	}
}

func (a *app) newAPI(s *services) *web.API {
	api := web.New(web.Options{Authenticator: s.users, Logger: a.log, Version: buildVersion(), Health: a.newHealth().report})
	s.routes(api)
	return api
}
