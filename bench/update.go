package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
)

// updateRatio compares an Update that reads an offer and writes it back with
// the same statements in a transaction by hand, in two round trips: fence and
// read, write and commit. One of each in turn, nothing else going on.
func updateRatio(ctx context.Context, e *env) (out samples, err error) {
	err = e.within(ctx, func(e *env) error {
		engine, byHand, err := e.updates(ctx)
		if err != nil {
			return err
		}
		if _, err := timesOf(e.size(200), engine, byHand); err != nil { // warm
			return err
		}
		for range e.times(5) {
			t, err := timesOf(e.size(1000), engine, byHand)
			if err != nil {
				return err
			}
			e.say("p50: engine %.2f ms, by hand %.2f ms", t.a, t.b)
			out = append(out, t.a/t.b)
		}
		return nil
	})
	return out, err
}

// updates returns the two ways to update the n-th offer.
func (e *env) updates(ctx context.Context) (engine, byHand func(n int) error, err error) {
	url, err := e.migrated(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := e.seed(ctx, url, seedOursSQL); err != nil {
		return nil, nil, err
	}
	g, err := e.engine(ctx, url, nil)
	if err != nil {
		return nil, nil, err
	}
	conn, err := writer(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	e.atEnd(func() error { return conn.Close(context.WithoutCancel(ctx)) })
	ids, err := offerIDs(ctx, conn)
	return func(n int) error { return updateByEngine(ctx, g, ids[scattered(n, len(ids))]) },
		func(n int) error { return updateByHand(ctx, conn, ids[scattered(n, len(ids))]) }, err
}

func offerIDs(ctx context.Context, conn *pgx.Conn) ([]cutover.ID, error) {
	rows, err := conn.Query(ctx, "SELECT id FROM seller_offers ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cutover.ID, err error) {
		var text string
		if err := r.Scan(&text); err != nil {
			return id, err
		}
		return cutover.ParseID(text)
	})
}

func updateByEngine(ctx context.Context, g *engine, id cutover.ID) error {
	_, err := cutover.Update(ctx, g.market, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		o, err := cutover.Get[marketplace.SellerOffer](ctx, tx, id)
		if err != nil {
			return struct{}{}, err
		}
		o.Notes = "seen by the engine"
		return struct{}{}, tx.Put(ctx, &o)
	})
	return err
}

// offerRow is an offer as one would scan it.
type offerRow struct {
	id, seller, request, title, description string
	amount, currency, status, notes         string
	days                                    *int64
	unit                                    *string
	rev                                     int64
	created, updated                        time.Time
	validUntil                              *time.Time
	attachments                             []string
	check, block                            bool
}

// updateByHand sends what the engine sends: the fence of the domain, the offer,
// then the whole of it under the revision that was read.
func updateByHand(ctx context.Context, conn *pgx.Conn, id cutover.ID) error {
	var o offerRow
	b := new(pgx.Batch)
	b.Queue("BEGIN")
	b.Queue("SELECT pg_advisory_xact_lock_shared($1)", int64(4711))
	b.Queue("SELECT phase, epoch, sealed FROM cutover_domains WHERE domain = $1", marketplace.Domain).QueryRow(func(r pgx.Row) error {
		var phase string
		var epoch int64
		var sealed bool
		return r.Scan(&phase, &epoch, &sealed)
	})
	b.Queue(`SELECT id, rev, created_at, updated_at, seller_id, purchase_request_id, title, description, price_amount::text, price_currency,
		delivery_time_amount, delivery_time_unit, status, attachments, notes, valid_until, require_aml_check, aml_block_on_failure
		FROM seller_offers WHERE id = $1`, id.String()).QueryRow(func(r pgx.Row) error {
		return r.Scan(&o.id, &o.rev, &o.created, &o.updated, &o.seller, &o.request, &o.title, &o.description, &o.amount, &o.currency,
			&o.days, &o.unit, &o.status, &o.attachments, &o.notes, &o.validUntil, &o.check, &o.block)
	})
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	o.notes, o.updated = "seen by hand", time.Now().UTC().Truncate(time.Millisecond)
	b = new(pgx.Batch)
	b.Queue(`UPDATE seller_offers SET rev = $2, created_at = $3, updated_at = $4, seller_id = $5, purchase_request_id = $6, title = $7,
		description = $8, price_amount = $9::text::numeric, price_currency = $10, delivery_time_amount = $11, delivery_time_unit = $12, status = $13,
		attachments = $14, notes = $15, valid_until = $16, require_aml_check = $17, aml_block_on_failure = $18
		WHERE id = $1 AND rev = $19`, o.id, o.rev+1, o.created, o.updated, o.seller, o.request, o.title, o.description, o.amount, o.currency,
		o.days, o.unit, o.status, o.attachments, o.notes, o.validUntil, o.check, o.block, o.rev)
	b.Queue("COMMIT")
	return conn.SendBatch(ctx, b).Close()
}

// writer opens a connection that the tables' guard lets write.
func writer(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["cutover.writer"] = "engine"
	config.RuntimeParams["timezone"] = "UTC"
	return pgx.ConnectConfig(ctx, config)
}

// times are the medians of two ways to do the same, in milliseconds.
type times struct{ a, b float64 }

// timesOf does it so many times either way, in turn.
func timesOf(rounds int, a, b func(n int) error) (times, error) {
	var as, bs slice
	for n := range rounds {
		if err := as.time(func() error { return a(n) }); err != nil {
			return times{}, err
		}
		if err := bs.time(func() error { return b(n) }); err != nil {
			return times{}, err
		}
	}
	return times{as.p50(), bs.p50()}, nil
}

func (s *slice) time(do func() error) error {
	began := time.Now()
	err := do()
	s.answers = append(s.answers, time.Since(began).Nanoseconds())
	return err
}
