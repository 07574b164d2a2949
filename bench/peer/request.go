package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// purchaseRequest is a row, and the JSON that it is answered as.
type purchaseRequest struct {
	ID                 string          `json:"id"`
	Rev                int64           `json:"rev"`
	CreatedAt          time.Time       `json:"createdAt"`
	UpdatedAt          time.Time       `json:"updatedAt"`
	BuyerID            string          `json:"buyerId"`
	Title              string          `json:"title"`
	Description        string          `json:"description"`
	CategoryID         *string         `json:"categoryId,omitempty"`
	ProductType        string          `json:"productType"`
	ProductLink        string          `json:"productLink,omitempty"`
	Size               string          `json:"size,omitempty"`
	Color              string          `json:"color,omitempty"`
	Brand              string          `json:"brand,omitempty"`
	Quantity           int             `json:"quantity"`
	Budget             *budget         `json:"budget,omitempty"`
	Urgency            string          `json:"urgency"`
	Specifications     json.RawMessage `json:"specifications,omitempty"`
	PreferredSellerIDs []string        `json:"preferredSellerIds,omitempty"`
	DeliveryInfo       json.RawMessage `json:"deliveryInfo,omitempty"`
	SelectedOfferID    *string         `json:"selectedOfferId,omitempty"`
	Status             string          `json:"status"`
}

type budget struct {
	Min      string `json:"min"`
	Max      string `json:"max"`
	Currency string `json:"currency"`
}

const requestColumns = `r.id, r.rev, r.created_at, r.updated_at, r.buyer_id, r.title, r.description, r.category_id,
	r.product_type, r.product_link, r.size, r.color, r.brand, r.quantity, r.budget_min::text, r.budget_max::text,
	r.budget_currency, r.urgency, r.specifications, r.preferred_seller_ids, r.delivery_info, r.selected_offer_id, r.status`

// scan reads requestColumns, and after them what more was selected.
func (p *purchaseRequest) scan(row pgx.Row, more ...any) error {
	var least, most, currency *string
	targets := []any{&p.ID, &p.Rev, &p.CreatedAt, &p.UpdatedAt, &p.BuyerID, &p.Title, &p.Description, &p.CategoryID,
		&p.ProductType, &p.ProductLink, &p.Size, &p.Color, &p.Brand, &p.Quantity, &least, &most, &currency, &p.Urgency,
		&p.Specifications, &p.PreferredSellerIDs, &p.DeliveryInfo, &p.SelectedOfferID, &p.Status}
	if err := row.Scan(append(targets, more...)...); err != nil {
		return err
	}
	if currency != nil {
		p.Budget = &budget{*least, *most, *currency}
	}
	return nil
}

// open says that a request takes offers, and others than its parties see it.
func (p *purchaseRequest) open() bool {
	return slices.Contains([]string{"pending", "active", "received_offers"}, p.Status)
}

func (p *purchaseRequest) welcomes(id string) bool {
	return len(p.PreferredSellerIDs) == 0 || slices.Contains(p.PreferredSellerIDs, id)
}

var errNoRequest = refusal{http.StatusNotFound, "there is no such purchase request"}

const getSQL = `SELECT ` + requestColumns + `,
		EXISTS (SELECT FROM seller_offers o WHERE o.purchase_request_id = r.id AND o.seller_id = $2),
		EXISTS (SELECT FROM seller_offers o WHERE o.id = r.selected_offer_id AND o.seller_id = $2 AND o.status = 'accepted')
	FROM purchase_requests r WHERE r.id = $1`

func (s *server) getRequest(r *http.Request, who member) (int, any, error) {
	id := r.PathValue("id")
	if !validID(id) {
		return 0, nil, refusal{http.StatusUnprocessableEntity, "id is not one"}
	}
	var p purchaseRequest
	var offered, selected bool
	err := p.scan(s.pool.QueryRow(r.Context(), getSQL, id, who.id), &offered, &selected)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, errNoRequest
	}
	if err != nil {
		return 0, nil, err
	}
	if who.id != p.BuyerID && who.role != "admin" {
		if !offered && !(p.open() && p.welcomes(who.id)) {
			return 0, nil, errNoRequest
		}
		p.hideDelivery(selected)
	}
	return http.StatusOK, &p, nil
}

// hideDelivery leaves of where to deliver only how.
func (p *purchaseRequest) hideDelivery(selected bool) {
	if selected || len(p.DeliveryInfo) == 0 {
		return
	}
	var d struct {
		DeliveryType string `json:"deliveryType,omitempty"`
	}
	_ = json.Unmarshal(p.DeliveryInfo, &d) // we have written it
	p.DeliveryInfo, _ = json.Marshal(d)
}

// mineSQL lists those of which the member is the buyer or the selected seller.
const mineSQL = `SELECT ` + requestColumns + ` FROM purchase_requests r WHERE r.id IN (
		(SELECT id FROM purchase_requests WHERE buyer_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3)
		UNION ALL
		(SELECT purchase_request_id FROM seller_offers
			WHERE seller_id = $1 AND status = 'accepted' AND purchase_request_id < $2
			ORDER BY purchase_request_id DESC LIMIT $3))
	ORDER BY r.id DESC LIMIT $3`

type page struct {
	Items      []*purchaseRequest `json:"items"`
	NextCursor string             `json:"nextCursor,omitempty"`
}

// listRequests answers the one list that is measured: the caller's own.
func (s *server) listRequests(r *http.Request, who member) (int, any, error) {
	limit, before, err := paging(r)
	if err != nil {
		return 0, nil, err
	}
	rows, err := s.pool.Query(r.Context(), mineSQL, who.id, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*purchaseRequest, error) {
		p := new(purchaseRequest)
		return p, p.scan(row)
	})
	if err != nil {
		return 0, nil, err
	}
	out := page{Items: items}
	if len(items) > limit {
		out.Items, out.NextCursor = items[:limit], items[limit-1].ID
	}
	for _, p := range out.Items {
		if who.id != p.BuyerID {
			p.hideDelivery(false)
		}
	}
	return http.StatusOK, out, nil
}

func paging(r *http.Request) (limit int, before string, err error) {
	q := r.URL.Query()
	limit, before = 20, strings.Repeat("g", 24) // after every id
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 100 {
			return 0, "", refusal{http.StatusUnprocessableEntity, "limit must be 1 to 100"}
		}
	}
	if cursor := q.Get("cursor"); cursor != "" {
		if before = cursor; !validID(cursor) {
			return 0, "", refusal{http.StatusUnprocessableEntity, "cursor is none"}
		}
	}
	if q.Get("mine") != "true" {
		return 0, "", refusal{http.StatusUnprocessableEntity, "only mine=true is answered here"}
	}
	return limit, before, nil
}

type requestDraft struct {
	Title          string          `json:"title"`
	Description    string          `json:"description"`
	CategoryID     *string         `json:"categoryId"`
	ProductType    string          `json:"productType"`
	Quantity       int             `json:"quantity"`
	Budget         *budget         `json:"budget"`
	Urgency        string          `json:"urgency"`
	Specifications []specification `json:"specifications"`
}

type specification struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Label string `json:"label,omitempty"`
}

// check says whether the draft is one; it fills what may be left out.
func (d *requestDraft) check() error {
	if d.Quantity == 0 {
		d.Quantity = 1
	}
	if d.Urgency == "" {
		d.Urgency = "medium"
	}
	d.Title, d.Description = strings.TrimSpace(d.Title), strings.TrimSpace(d.Description)
	ok := within(d.Title, 1, 200) && within(d.Description, 1, 2000) && d.Quantity > 0 && d.Quantity <= 1_000_000 &&
		slices.Contains([]string{"physical_product", "digital_product", "service", "consultation"}, d.ProductType) &&
		slices.Contains([]string{"low", "medium", "high", "urgent"}, d.Urgency) &&
		(d.CategoryID == nil || validID(*d.CategoryID)) && d.Budget.valid() && len(d.Specifications) <= 50
	for _, sp := range d.Specifications {
		ok = ok && within(sp.Key, 1, 100) && within(sp.Value, 0, 500) && within(sp.Label, 0, 200)
	}
	if !ok {
		return refusal{http.StatusUnprocessableEntity, "the request is not valid"}
	}
	return nil
}

func within(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && !strings.ContainsRune(s, 0)
}

func (b *budget) valid() bool {
	if b == nil {
		return true
	}
	least, err1 := strconv.ParseFloat(b.Min, 64)
	most, err2 := strconv.ParseFloat(b.Max, 64)
	return err1 == nil && err2 == nil && least > 0 && least <= most &&
		slices.Contains([]string{"USD", "EUR", "IRR", "USDT", "USDC"}, b.Currency)
}

const postRequestSQL = `INSERT INTO purchase_requests (id, rev, created_at, updated_at, buyer_id, title, description,
		category_id, product_type, quantity, budget_min, budget_max, budget_currency, urgency, specifications, status)
	SELECT $1, 1, $2, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10::text::numeric, $11, $12, $13, 'pending'
	WHERE $6::text IS NULL OR EXISTS (SELECT FROM categories WHERE id = $6 AND is_active)`

func (s *server) postRequest(r *http.Request, who member) (int, any, error) {
	if who.role != "buyer" && who.role != "seller" {
		return 0, nil, refusal{http.StatusForbidden, "only buyers and sellers may post requests"}
	}
	var d requestDraft
	if err := decode(r, &d); err != nil {
		return 0, nil, err
	}
	if err := d.check(); err != nil {
		return 0, nil, err
	}
	p := d.request(who.id)
	var least, most, currency *string
	if b := p.Budget; b != nil {
		least, most, currency = &b.Min, &b.Max, &b.Currency
	}
	tag, err := s.pool.Exec(r.Context(), postRequestSQL, p.ID, p.CreatedAt, p.BuyerID, p.Title, p.Description, p.CategoryID,
		p.ProductType, p.Quantity, least, most, currency, p.Urgency, p.Specifications)
	if err == nil && tag.RowsAffected() == 0 {
		err = refusal{http.StatusUnprocessableEntity, "there is no such category"}
	}
	return http.StatusCreated, p, err
}

func (d *requestDraft) request(buyer string) *purchaseRequest {
	at := now()
	p := &purchaseRequest{ID: newID(), Rev: 1, CreatedAt: at, UpdatedAt: at, BuyerID: buyer, Title: d.Title,
		Description: d.Description, CategoryID: d.CategoryID, ProductType: d.ProductType, Quantity: d.Quantity,
		Budget: d.Budget, Urgency: d.Urgency, Status: "pending"}
	if len(d.Specifications) > 0 {
		p.Specifications, _ = json.Marshal(d.Specifications) // texts alone
	}
	return p
}
