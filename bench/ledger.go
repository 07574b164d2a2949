package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// ledgerWorkers post entries at a time.
const ledgerWorkers = 20

// ledgerShare compares entries of the ledger posted through the engine, as the
// payment service posts them, with the same rows appended by hand: one statement
// in one round trip.
func ledgerShare(ctx context.Context, e *env) (out samples, err error) {
	err = e.within(ctx, func(e *env) error {
		engine, byHand, err := e.posting(ctx)
		if err != nil {
			return err
		}
		if _, _, err := alternate(ctx, e.times(2), engine, byHand); err != nil { // warm
			return err
		}
		for range e.times(5) {
			a, b, err := alternate(ctx, e.times(3), engine, byHand)
			if err != nil {
				return err
			}
			e.say("engine %.0f entries/s, by hand %.0f/s", a, b)
			out = append(out, a/b)
		}
		return nil
	})
	return out, err
}

// posting returns the two ways to post entries for a slice.
func (e *env) posting(ctx context.Context) (engine, byHand func(context.Context) (float64, error), err error) {
	url, err := e.migrated(ctx)
	if err != nil {
		return nil, nil, err
	}
	payments, err := e.seedPayments(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	g, err := e.engine(ctx, url, nil)
	if err != nil {
		return nil, nil, err
	}
	pool, err := writers(ctx, url, ledgerWorkers)
	if err != nil {
		return nil, nil, err
	}
	e.atEnd(func() error { pool.Close(); return nil })
	var posted atomic.Int64
	next := func() (payment.Entry, error) { return entry(payments, int(posted.Add(1))) }
	return func(ctx context.Context) (float64, error) {
			return rate(ctx, e, func() error { return postByEngine(ctx, g, next) })
		}, func(ctx context.Context) (float64, error) {
			return rate(ctx, e, func() error { return postByHand(ctx, pool, next) })
		}, nil
}

// seedPayments makes the payments that entries are of.
func (e *env) seedPayments(ctx context.Context, url string) (ids []cutover.ID, err error) {
	conn, err := writer(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	b := new(pgx.Batch)
	for range e.size(2000) {
		id := cutover.NewID()
		ids = append(ids, id)
		b.Queue(`INSERT INTO payments (id, rev, created_at, updated_at, amount_amount, amount_currency, status) VALUES ($1, 1, now(), now(), 12.5, 'USDT', 'completed')`, id.String())
	}
	return ids, conn.SendBatch(ctx, b).Close()
}

// entry makes the n-th deposit.
func entry(payments []cutover.ID, n int) (payment.Entry, error) {
	of := payments[n%len(payments)]
	amount, err := money.ParseUnits(fmt.Sprint(1_000_000 + n))
	if err != nil {
		return payment.Entry{}, err
	}
	e, err := payment.NewEntry(fmt.Sprintf("deposit:%d", n), payment.EntryDeposit, of, payment.Asset{ChainID: 56, Token: "USDT"},
		payment.Posting{Account: payment.CustodyAccount("0x9858effd232b4033e47d90003d41ec34ecaeda94"), Amount: amount.Neg()},
		payment.Posting{Account: payment.EscrowAccount(of), Amount: amount})
	e.ID = cutover.NewID()
	return e, err
}

func postByEngine(ctx context.Context, g *engine, next func() (payment.Entry, error)) error {
	made, err := next()
	if err != nil {
		return err
	}
	_, err = cutover.Update(ctx, g.payments, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		if _, err := payment.LedgerEntry(ctx, tx, made.IdempotencyKey); !fault.Is(err, fault.NotFound) {
			return struct{}{}, errors.Join(errors.New("the entry is there already"), err)
		}
		e := made
		return struct{}{}, tx.Put(ctx, &e)
	})
	return err
}

const postSQL = `WITH e AS (
		INSERT INTO funds_ledger_entries (id, rev, created_at, updated_at, idempotency_key, payment_id, type, asset_chain_id, asset_token)
		VALUES ($1, 1, $2, $2, $3, $4, $5, $6, $7) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id)
	INSERT INTO funds_ledger_postings (parent_id, position, account, amount)
	SELECT e.id, p.position - 1, p.account, p.amount::numeric
	FROM e, unnest($8::text[], $9::text[]) WITH ORDINALITY AS p(account, amount, position)`

func postByHand(ctx context.Context, pool *pgxpool.Pool, next func() (payment.Entry, error)) error {
	e, err := next()
	if err != nil {
		return err
	}
	accounts, amounts := make([]string, len(e.Postings)), make([]string, len(e.Postings))
	for i, p := range e.Postings {
		accounts[i], amounts[i] = p.Account, p.Amount.String()
	}
	tag, err := pool.Exec(ctx, postSQL, e.ID.String(), cutover.Now(), e.IdempotencyKey, e.PaymentID.String(), string(e.Type),
		e.Asset.ChainID, e.Asset.Token, accounts, amounts)
	if err == nil && tag.RowsAffected() != int64(len(e.Postings)) {
		err = fmt.Errorf("%d postings were made, want %d", tag.RowsAffected(), len(e.Postings))
	}
	return err
}

// writers opens a pool of connections that the tables' guard lets write.
func writers(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = conns
	config.ConnConfig.RuntimeParams["cutover.writer"] = "engine"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	return pgxpool.NewWithConfig(ctx, config)
}

// rate has 20 workers do something for a slice, and returns how often in a
// second.
func rate(ctx context.Context, e *env, do func() error) (float64, error) {
	var (
		done    atomic.Int64
		workers sync.WaitGroup
		failed  = make(chan error, ledgerWorkers)
		began   = time.Now()
	)
	for range ledgerWorkers {
		workers.Go(func() {
			for time.Since(began) < e.slice() && ctx.Err() == nil {
				if err := do(); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / took.Seconds(), ctx.Err()
	}
}
