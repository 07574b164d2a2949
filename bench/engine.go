package main

import (
	"context"
	"os"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
)

// engine is one in this process, on a PostgreSQL database with the product's
// tables. What is measured of it is the engine's own, without HTTP and services.
type engine struct {
	*cutover.Engine
	market   *cutover.Domain
	payments *cutover.Domain
}

// engine opens one. source, unless nil, is where the payments are moved from.
func (e *env) engine(ctx context.Context, url string, source cutover.Side) (*engine, error) {
	db, err := postgresql.Open(ctx, url+separator(url)+"pool_max_conns=24")
	if err != nil {
		return nil, err
	}
	e.atEnd(func() error { db.Close(); return nil })
	plane, err := control.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	e.atEnd(func() error { plane.Close(); return nil })
	g := &engine{Engine: cutover.NewEngine(cutover.Options{Control: plane,
		Process: cutover.Process{ID: "bench-" + cutover.NewID().String(), PID: os.Getpid(), Started: cutover.Now()}})}
	g.payments, err = cutover.NewDomain(g.Engine, cutover.Spec{Definition: payment.Definition, Source: source, Target: db.Side(payment.Definition)})
	if err == nil && source == nil {
		g.market, err = cutover.NewDomain(g.Engine, cutover.Spec{Definition: marketplace.Definition, Target: db.Side(marketplace.Definition)})
	}
	if err != nil {
		return nil, err
	}
	if err := g.Open(ctx); err != nil {
		return nil, err
	}
	g.Run(ctx)
	e.atEnd(func() error { return g.Close(context.WithoutCancel(ctx)) })
	return g, nil
}
