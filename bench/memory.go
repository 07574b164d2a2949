package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// memory is a source of payments that costs next to nothing: each is made when
// it is read. It is there to be copied from; what a backfill does not ask of a
// source it does not have.
type memory struct {
	cutover.Side // nil
	count        int
}

func (m memory) Name() string               { return "memory" }
func (m memory) Ping(context.Context) error { return nil }

// Get finds none of what it is asked for: only the gauge asks, for a record that
// there is not.
func (m memory) Get(_ context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	items := make([]cutover.Item, len(keys))
	for i, k := range keys {
		items[i] = cutover.Item{Key: k}
	}
	return items, nil
}

func (m memory) Ranges(context.Context) (bool, error) { return true, nil }

func (m memory) Stream(ctx context.Context, kind string, after, until cutover.ID, page func() int, do func([]cutover.Item) error) error {
	for {
		limit := page()
		items, err := m.Scan(ctx, kind, after, until, limit)
		if err != nil || len(items) == 0 {
			return err
		}
		after = items[len(items)-1].Key.ID
		if err := do(items); err != nil || len(items) < limit {
			return err
		}
	}
}

func (m memory) Scan(_ context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	if kind != payment.KindPayment {
		return nil, nil
	}
	var items []cutover.Item
	for n := placeOf(after) + 1; n <= m.count && len(items) < limit; n++ {
		p, err := paymentAt(n)
		if err != nil {
			return nil, err
		}
		if !until.IsZero() && n > placeOf(until) {
			break
		}
		items = append(items, cutover.Item{Key: cutover.Key{Kind: kind, ID: p.ID}, Rev: p.Rev, Record: p})
	}
	return items, nil
}

func (m memory) Foreign(context.Context, string, int) ([]cutover.Item, error) { return nil, nil }

func (m memory) Count(_ context.Context, kind string) (int64, error) {
	if kind != payment.KindPayment {
		return 0, nil
	}
	return int64(m.count), nil
}

func (m memory) Bounds(_ context.Context, kind string, size int) (bounds []cutover.ID, err error) {
	for n := size; kind == payment.KindPayment && n <= m.count; n += size {
		bounds = append(bounds, idAt(n))
	}
	return bounds, nil
}

func (m memory) Notes(context.Context, int) ([]cutover.Note, error) { return nil, nil }
func (m memory) Forget(context.Context, []cutover.Note) error       { return nil }
func (m memory) Journal(context.Context) (int64, time.Time, error)  { return 0, time.Time{}, nil }

func (m memory) ForgetTombstones(context.Context, time.Duration) error { return nil }

// idAt is the identity of the n-th payment, from 1.
func idAt(n int) (id cutover.ID) {
	binary.BigEndian.PutUint32(id[:4], 1_768_000_000)
	binary.BigEndian.PutUint64(id[4:], uint64(n))
	return id
}

func placeOf(id cutover.ID) int { return int(binary.BigEndian.Uint64(id[4:])) }

func paymentAt(n int) (*payment.Payment, error) {
	at := time.Unix(1_768_000_000+int64(n), 0).UTC()
	amount, err := money.ParseAmount(fmt.Sprintf("%d.25", 10+n%900))
	units, err2 := money.ParseUnits(fmt.Sprintf("%d250000000000000000", 10+n%900))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return &payment.Payment{
		Meta:              cutover.Meta{ID: idAt(n), Rev: 1, CreatedAt: at, UpdatedAt: at},
		PurchaseRequestID: idAt(n), SellerOfferID: idAt(n), BuyerID: idAt(n), SellerID: idAt(n),
		Amount:   payment.Price{Amount: amount, Currency: "USDT"},
		Provider: payment.ProviderRequestNetwork, Direction: payment.DirectionIn, Status: payment.Pending,
		Blockchain: &payment.Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", TokenAddress: "0x55d398326f99059fF775485246999027B3197955",
			Destination: fmt.Sprintf("0x%040x", n), PaymentReference: fmt.Sprintf("%016x", n), ConfirmationsRequired: 200},
		ExpectedUnits: &units, CallbackSecret: fmt.Sprintf("%064x", n), Salt: fmt.Sprintf("%016x", n),
		ExpiresAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}, nil
}

// backfillFromMemory moves so many payments into a database with the product's
// tables, and returns how long the backfill took.
func (e *env) backfillFromMemory(ctx context.Context, url string, count int) (time.Duration, error) {
	g, err := e.engine(ctx, url, memory{count: count})
	if err != nil {
		return 0, err
	}
	if err := g.startMove(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	kinds, err := g.Backfill(ctx, payment.Domain, cutover.BackfillOptions{})
	took := time.Since(began)
	for _, k := range kinds {
		if k.Kind == payment.KindPayment && k.Rows != int64(count) {
			err = errors.Join(err, fmt.Errorf("%d payments were copied and %d not, want %d", k.Rows, k.Gaps, count))
		}
	}
	return took, err
}

// startMove begins the move of the payments, as soon as the control plane knows
// this process.
func (g *engine) startMove(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := g.Start(ctx, payment.Domain, cutover.StepOptions{Execute: true, Who: "bench", Why: "a measurement"})
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
