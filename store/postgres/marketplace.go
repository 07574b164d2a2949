package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
)

var marketplaceTables = register(marketplace.Domain, marketplace.Kinds, append([]Table{
	{Kind: marketplace.KindCategory, Name: "categories"},
	{Kind: marketplace.KindRequest, Name: "purchase_requests"},
	{Kind: marketplace.KindOffer, Name: "seller_offers"},
}, eventTables(marketplace.Domain)...))

// Marketplace gives the marketplace's side in PostgreSQL.
func Marketplace(db *DB) cutover.Side[marketplace.Tx] {
	return newSide(db, marketplace.Domain, marketplace.Kinds, marketplaceTables, func(tx *Tx) marketplace.Tx {
		return marketplaceTx{eventTx{tx, marketplace.Domain}}
	})
}

type marketplaceTx struct{ eventTx }

func (t marketplaceTx) Category(ctx context.Context, id cutover.ID) (marketplace.Category, error) {
	return Get[marketplace.Category](ctx, t.Tx, marketplace.KindCategory, id)
}

func (t marketplaceTx) Categories(ctx context.Context) ([]marketplace.Category, error) {
	return Select[marketplace.Category](ctx, t.Tx, marketplace.KindCategory, `ORDER BY "order", id`)
}

func (t marketplaceTx) Request(ctx context.Context, id cutover.ID) (marketplace.PurchaseRequest, error) {
	return Get[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, id)
}

func (t marketplaceTx) Requests(ctx context.Context, f marketplace.RequestFilter, after cutover.ID, limit int) ([]marketplace.PurchaseRequest, error) {
	var q where
	q.id("id < %s", after)
	q.text("status = %s", string(f.Status))
	q.id("category_id = %s", f.CategoryID)
	requestParties(&q, f)
	q.newest(limit)
	return Find[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, q)
}

// requestParties adds the conditions of which one must hold. There is one per
// open status, so that each can go by the index on status and id. OFFSET 0 keeps
// PostgreSQL from reading all preferred sellers to have them at hand.
func requestParties(q *where, f marketplace.RequestFilter) {
	if !f.Party.IsZero() {
		party := q.arg(f.Party)
		q.or("buyer_id = " + party)
		q.or("id IN (SELECT purchase_request_id FROM seller_offers WHERE seller_id = " + party + " AND status = 'accepted')")
	}
	if f.OpenTo.IsZero() {
		return
	}
	open := make([]string, len(marketplace.OpenStatuses))
	for i, s := range marketplace.OpenStatuses {
		open[i] = string(s)
	}
	q.or(fmt.Sprintf(`status = ANY(%s) AND id IN (SELECT parent_id FROM purchase_request_preferred_sellers WHERE value = %s)`,
		q.arg(open), q.arg(f.OpenTo)))
	for _, s := range open {
		q.or("status = " + q.arg(s) + ` AND NOT EXISTS (
			SELECT FROM purchase_request_preferred_sellers p WHERE p.parent_id = purchase_requests.id OFFSET 0)`)
	}
}

func (t marketplaceTx) Offer(ctx context.Context, id cutover.ID) (marketplace.SellerOffer, error) {
	return Get[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, id)
}

func (t marketplaceTx) Offers(ctx context.Context, f marketplace.OfferFilter, after cutover.ID, limit int) ([]marketplace.SellerOffer, error) {
	var q where
	q.id("id < %s", after)
	q.id("purchase_request_id = %s", f.RequestID)
	q.id("seller_id = %s", f.SellerID)
	q.text("status = %s", string(f.Status))
	q.newest(limit)
	return Find[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, q)
}

func (t marketplaceTx) ExpiredOffers(ctx context.Context, before time.Time, after cutover.ID, limit int) ([]marketplace.SellerOffer, error) {
	q := where{conditions: []string{"status = 'pending'"}}
	q.conditions = append(q.conditions, "valid_until < "+q.arg(before))
	q.id("id > %s", after)
	q.sorted("id", limit)
	return Find[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, q)
}

func (t marketplaceTx) EachRequest(ctx context.Context, fn func(marketplace.PurchaseRequest) error) error {
	return Each(ctx, t.Tx, marketplace.KindRequest, fn)
}

func (t marketplaceTx) EachOffer(ctx context.Context, fn func(marketplace.SellerOffer) error) error {
	return Each(ctx, t.Tx, marketplace.KindOffer, fn)
}
