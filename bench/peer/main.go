// Command peer is what the API is measured against: four endpoints of the
// marketplace, as one would write them by hand on net/http and pgx for
// PostgreSQL alone, with no engine underneath. It answers with the same JSON,
// verifies the same access tokens, and each endpoint is one prepared statement,
// committed durably.
//
// It takes PG_URL, JWT_SECRET and MAX_CONNS from the environment, prints its
// address, and serves until its standard input ends.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := connect(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := &server{pool: pool, secret: []byte(os.Getenv("JWT_SECRET"))}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it, we end
		_ = web.Close()
	}()
	fmt.Println(listener.Addr())
	if err := web.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func connect(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("PG_URL"))
	if err != nil {
		return nil, err
	}
	conns, err := strconv.Atoi(os.Getenv("MAX_CONNS"))
	if err != nil {
		return nil, fmt.Errorf("MAX_CONNS: %w", err)
	}
	config.MaxConns = int32(conns)
	// Identities are as good as random to the planner: one plan does for all.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	return pgxpool.NewWithConfig(ctx, config)
}
