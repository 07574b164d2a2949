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
	q.anyOf(requestParties(&q, f))
	return Select[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, q.newest(limit), q.args...)
}

// requestParties gives the conditions of which one must hold.
func requestParties(q *where, f marketplace.RequestFilter) []string {
	var any []string
	if !f.Party.IsZero() {
		party := q.arg(f.Party)
		any = append(any, "buyer_id = "+party, `id IN (SELECT purchase_request_id FROM seller_offers
			WHERE seller_id = `+party+` AND status = 'accepted')`)
	}
	if !f.OpenTo.IsZero() {
		open := make([]string, len(marketplace.OpenStatuses))
		for i, s := range marketplace.OpenStatuses {
			open[i] = string(s)
		}
		any = append(any, fmt.Sprintf(`status = ANY(%s) AND (
			NOT EXISTS (SELECT FROM purchase_request_preferred_sellers p WHERE p.parent_id = purchase_requests.id)
			OR EXISTS (SELECT FROM purchase_request_preferred_sellers p WHERE p.parent_id = purchase_requests.id AND p.value = %s))`,
			q.arg(open), q.arg(f.OpenTo)))
	}
	return any
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
	return Select[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, q.newest(limit), q.args...)
}

func (t marketplaceTx) ExpiredOffers(ctx context.Context, before time.Time, after cutover.ID, limit int) ([]marketplace.SellerOffer, error) {
	q := where{conditions: []string{"status = 'pending'"}}
	q.conditions = append(q.conditions, "valid_until < "+q.arg(before))
	q.id("id > %s", after)
	return Select[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, q.sorted("id", limit), q.args...)
}

func (t marketplaceTx) EachRequest(ctx context.Context, fn func(marketplace.PurchaseRequest) error) error {
	return Each(ctx, t.Tx, marketplace.KindRequest, fn)
}

func (t marketplaceTx) EachOffer(ctx context.Context, fn func(marketplace.SellerOffer) error) error {
	return Each(ctx, t.Tx, marketplace.KindOffer, fn)
}
