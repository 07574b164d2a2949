package main

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

type offer struct {
	ID                string        `json:"id"`
	Rev               int64         `json:"rev"`
	CreatedAt         time.Time     `json:"createdAt"`
	UpdatedAt         time.Time     `json:"updatedAt"`
	SellerID          string        `json:"sellerId"`
	PurchaseRequestID string        `json:"purchaseRequestId"`
	Title             string        `json:"title,omitempty"`
	Description       string        `json:"description"`
	Price             price         `json:"price"`
	DeliveryTime      *deliveryTime `json:"deliveryTime,omitempty"`
	Status            string        `json:"status"`
	Notes             string        `json:"notes,omitempty"`
	RequireAmlCheck   bool          `json:"requireAmlCheck"`
	AmlBlockOnFailure bool          `json:"amlBlockOnFailure"`
}

type price struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

type deliveryTime struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

type offerDraft struct {
	Title        string        `json:"title"`
	Description  string        `json:"description"`
	Price        price         `json:"price"`
	DeliveryTime *deliveryTime `json:"deliveryTime"`
	Notes        string        `json:"notes"`
}

func (d *offerDraft) check() error {
	d.Title, d.Description = strings.TrimSpace(d.Title), strings.TrimSpace(d.Description)
	amount, err := strconv.ParseFloat(d.Price.Amount, 64)
	ok := err == nil && amount > 0 && within(d.Title, 0, 200) && within(d.Description, 1, 1000) && within(d.Notes, 0, 1000) &&
		slices.Contains([]string{"USD", "EUR", "IRR", "TRY", "USDT", "USDC"}, d.Price.Currency)
	if t := d.DeliveryTime; t != nil {
		ok = ok && t.Amount >= 1 && t.Amount <= 1000 && slices.Contains([]string{"hours", "days", "weeks"}, t.Unit)
	}
	if !ok {
		return refusal{http.StatusUnprocessableEntity, "the offer is not valid"}
	}
	return nil
}

// postOfferSQL writes the offer and the request that it is on, if that takes
// it, and returns the request as it was before: who made it, where it stands,
// and whether it welcomes the seller. That a seller has one live offer on a
// request is a unique index.
const postOfferSQL = `WITH r AS (
		SELECT id, buyer_id, status, preferred_seller_ids FROM purchase_requests WHERE id = $3 FOR UPDATE
	), o AS (
		INSERT INTO seller_offers (id, rev, created_at, updated_at, seller_id, purchase_request_id, title, description,
			price_amount, price_currency, delivery_time_amount, delivery_time_unit, notes, status)
		SELECT $1, 1, $2, $2, $4, r.id, $5, $6, $7::text::numeric, $8, $9, $10, $11, 'pending' FROM r
		WHERE r.buyer_id <> $4 AND r.status IN ('pending', 'active', 'received_offers')
			AND (r.preferred_seller_ids IS NULL OR $4 = ANY (r.preferred_seller_ids))
		RETURNING purchase_request_id
	), u AS (
		UPDATE purchase_requests p SET status = 'received_offers', rev = p.rev + 1, updated_at = $2
		FROM o WHERE p.id = o.purchase_request_id
	)
	SELECT r.buyer_id, r.status, r.preferred_seller_ids, EXISTS (SELECT FROM o) FROM r`

func (s *server) postOffer(r *http.Request, who member) (int, any, error) {
	if who.role != "seller" {
		return 0, nil, refusal{http.StatusForbidden, "only sellers make offers"}
	}
	id := r.PathValue("id")
	if !validID(id) {
		return 0, nil, refusal{http.StatusUnprocessableEntity, "id is not one"}
	}
	var d offerDraft
	if err := decode(r, &d); err != nil {
		return 0, nil, err
	}
	if err := d.check(); err != nil {
		return 0, nil, err
	}
	o := d.offer(who.id, id)
	var amount, unit any
	if t := o.DeliveryTime; t != nil {
		amount, unit = t.Amount, t.Unit
	}
	var p purchaseRequest
	var made bool
	err := s.pool.QueryRow(r.Context(), postOfferSQL, o.ID, o.CreatedAt, id, who.id, o.Title, o.Description,
		o.Price.Amount, o.Price.Currency, amount, unit, o.Notes).Scan(&p.BuyerID, &p.Status, &p.PreferredSellerIDs, &made)
	if err == nil && !made {
		err = p.refuses(who.id)
	}
	return http.StatusCreated, o, offerError(err)
}

func (d *offerDraft) offer(seller, request string) *offer {
	at := now()
	return &offer{ID: newID(), Rev: 1, CreatedAt: at, UpdatedAt: at, SellerID: seller, PurchaseRequestID: request,
		Title: d.Title, Description: d.Description, Price: d.Price, DeliveryTime: d.DeliveryTime, Notes: d.Notes, Status: "pending"}
}

// refuses says why the request took no offer of that seller.
func (p *purchaseRequest) refuses(seller string) error {
	switch {
	case p.BuyerID == seller:
		return refusal{http.StatusForbidden, "nobody makes an offer on their own request"}
	case !p.open():
		return refusal{http.StatusConflict, "the purchase request takes no offers"}
	}
	return errNoRequest
}

func offerError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errNoRequest
	case errors.As(err, &pgErr) && pgErr.Code == "23505":
		return refusal{http.StatusConflict, "you have an offer on this purchase request already"}
	}
	return err
}
