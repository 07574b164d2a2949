package marketplace

import (
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// PurchaseRequest is what a buyer wants, from posting it to the seller's
// being paid.
type PurchaseRequest struct {
	cutover.Meta
	BuyerID            cutover.ID      `json:"buyerId" field:",ref=user"`
	Title              string          `json:"title"`
	Description        string          `json:"description"`
	CategoryID         cutover.ID      `json:"categoryId,omitzero" field:",ref=category"`
	ProductType        string          `json:"productType"` // physical_product, digital_product, service, consultation
	ProductLink        string          `json:"productLink,omitempty"`
	Size               string          `json:"size,omitempty"`
	Color              string          `json:"color,omitempty"`
	Brand              string          `json:"brand,omitempty"`
	Quantity           int             `json:"quantity"`
	Budget             *Budget         `json:"budget,omitempty"`
	Urgency            string          `json:"urgency"` // low, medium, high, urgent
	Specifications     []Specification `json:"specifications,omitempty" field:",jsonb"`
	PreferredSellerIDs []cutover.ID    `json:"preferredSellerIds,omitempty" field:",table=purchase_request_preferred_sellers,ref=user"`
	DeliveryInfo       *DeliveryInfo   `json:"deliveryInfo,omitempty"`
	SelectedOfferID    cutover.ID      `json:"selectedOfferId,omitzero" field:",ref=seller_offer"`
	Status             RequestStatus   `json:"status"`
}

// Budget is what a buyer means to pay, both ends included.
type Budget struct {
	Min      money.Amount `json:"min" exclusiveMinimum:"0"`
	Max      money.Amount `json:"max" exclusiveMinimum:"0"`
	Currency string       `json:"currency" enum:"USD,EUR,IRR,USDT,USDC"`
}

// Specification is one further property of what is wanted.
type Specification struct {
	Key   string `json:"key" minLength:"1" maxLength:"100"`
	Value string `json:"value" format:"lines" maxLength:"500"`
	Label string `json:"label,omitempty" maxLength:"200"`
}

// Normalize refuses what no version of the application wrote.
func (r *PurchaseRequest) Normalize() error { return r.Status.check() }

// RequestDraft is what a buyer says of a new request.
type RequestDraft struct {
	Title              string           `json:"title" minLength:"1" maxLength:"200"`
	Description        string           `json:"description" minLength:"1" maxLength:"2000" format:"lines"`
	CategoryID         cutover.ID       `json:"categoryId,omitzero" required:"false"`
	ProductType        string           `json:"productType" enum:"physical_product,digital_product,service,consultation"`
	ProductLink        string           `json:"productLink,omitempty" format:"link" maxLength:"2000"`
	Size               string           `json:"size,omitempty" maxLength:"100"`
	Color              string           `json:"color,omitempty" maxLength:"100"`
	Brand              string           `json:"brand,omitempty" maxLength:"100"`
	Quantity           int              `json:"quantity,omitempty" minimum:"1" maximum:"1000000" default:"1"`
	Budget             *Budget          `json:"budget,omitempty"`
	Urgency            string           `json:"urgency,omitempty" enum:"low,medium,high,urgent" default:"medium"`
	Specifications     []Specification  `json:"specifications,omitempty" maxItems:"50"`
	PreferredSellerIDs []cutover.ID     `json:"preferredSellerIds,omitempty" maxItems:"50"`
	DeliveryInfo       *DeliveryDetails `json:"deliveryInfo,omitempty"`
}

// RequestPatch is a change to a request; nil leaves a field as it is.
type RequestPatch struct {
	Title              *string          `json:"title,omitempty" minLength:"1" maxLength:"200"`
	Description        *string          `json:"description,omitempty" minLength:"1" maxLength:"2000" format:"lines"`
	CategoryID         *cutover.ID      `json:"categoryId,omitempty"`
	ProductType        *string          `json:"productType,omitempty" enum:"physical_product,digital_product,service,consultation"`
	ProductLink        *string          `json:"productLink,omitempty" format:"link" maxLength:"2000"`
	Size               *string          `json:"size,omitempty" maxLength:"100"`
	Color              *string          `json:"color,omitempty" maxLength:"100"`
	Brand              *string          `json:"brand,omitempty" maxLength:"100"`
	Quantity           *int             `json:"quantity,omitempty" minimum:"1" maximum:"1000000"`
	Budget             *Budget          `json:"budget,omitempty"`
	Urgency            *string          `json:"urgency,omitempty" enum:"low,medium,high,urgent"`
	Specifications     *[]Specification `json:"specifications,omitempty" maxItems:"50"`
	PreferredSellerIDs *[]cutover.ID    `json:"preferredSellerIds,omitempty" maxItems:"50"`
	DeliveryInfo       *DeliveryDetails `json:"deliveryInfo,omitempty" doc:"Replaces what the buyer said of the delivery before"`
}

// newRequest makes a request of what its buyer says.
func newRequest(id, buyer cutover.ID, d RequestDraft) PurchaseRequest {
	r := PurchaseRequest{
		Meta: cutover.Meta{ID: id}, BuyerID: buyer, Status: StatusPending,
		Title: d.Title, Description: d.Description, CategoryID: d.CategoryID,
		ProductType: d.ProductType, ProductLink: d.ProductLink,
		Size: d.Size, Color: d.Color, Brand: d.Brand,
		Quantity: d.Quantity, Budget: d.Budget, Urgency: d.Urgency,
		Specifications: d.Specifications, PreferredSellerIDs: d.PreferredSellerIDs,
	}
	if r.Quantity == 0 {
		r.Quantity = 1
	}
	if r.Urgency == "" {
		r.Urgency = "medium"
	}
	r.setDelivery(d.DeliveryInfo)
	r.tidy()
	return r
}

// onlyDelivery says that the terms stay as they are.
func (p RequestPatch) onlyDelivery() bool {
	return p == (RequestPatch{DeliveryInfo: p.DeliveryInfo})
}

// apply changes what p names. Once an offer is chosen the terms stand, and only
// where to deliver may still change, until the seller ships.
func (r *PurchaseRequest) apply(p RequestPatch) error {
	beforeShipping := r.Status == StatusPayment || r.Status == StatusProcessing
	if !r.Status.Open() && (!beforeShipping || !p.onlyDelivery()) {
		return fault.New(fault.Conflict, "a purchase request that is %s cannot be changed like this", r.Status)
	}
	if err := p.check(r.BuyerID); err != nil {
		return err
	}
	r.setDelivery(p.DeliveryInfo)
	r.setTerms(p)
	r.tidy()
	return nil
}

func (r *PurchaseRequest) setTerms(p RequestPatch) {
	set(&r.Title, p.Title)
	set(&r.Description, p.Description)
	set(&r.CategoryID, p.CategoryID)
	set(&r.ProductType, p.ProductType)
	set(&r.ProductLink, p.ProductLink)
	set(&r.Size, p.Size)
	set(&r.Color, p.Color)
	set(&r.Brand, p.Brand)
	set(&r.Quantity, p.Quantity)
	set(&r.Urgency, p.Urgency)
	set(&r.Specifications, p.Specifications)
	set(&r.PreferredSellerIDs, p.PreferredSellerIDs)
	if p.Budget != nil {
		r.Budget = p.Budget
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// tidy makes a new list of sellers: the caller's stays as it is.
func (r *PurchaseRequest) tidy() {
	r.Title = strings.TrimSpace(r.Title)
	r.Description = strings.TrimSpace(r.Description)
	r.ProductLink = strings.TrimSpace(r.ProductLink)
	var once []cutover.ID
	for _, id := range r.PreferredSellerIDs {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	r.PreferredSellerIDs = once
}

// check says what is wrong with what the buyer wrote.
func (d RequestDraft) check(buyer cutover.ID) error {
	found := limit.Of(d)
	d.Budget.check(found)
	checkPreferred(found, d.PreferredSellerIDs, buyer)
	return found.Err()
}

// check is about what p names: terms from before these rules must not keep a
// buyer from changing others.
func (p RequestPatch) check(buyer cutover.ID) error {
	found := limit.Of(p)
	p.Budget.check(found)
	if p.PreferredSellerIDs != nil {
		checkPreferred(found, *p.PreferredSellerIDs, buyer)
	}
	return found.Err()
}

func (b *Budget) check(found limit.Findings) {
	found.Want(b == nil || b.Min.Cmp(b.Max) <= 0, "budget.min", "must not be more than max")
}

func checkPreferred(found limit.Findings, sellers []cutover.ID, buyer cutover.ID) {
	for _, id := range sellers {
		found.Want(!id.IsZero() && id != buyer, "preferredSellerIds", "must name sellers other than the buyer")
	}
}

// visibleTo says whether a member may see the request; offered says that they
// have made an offer on it. Nobody learns of a request that they may not see.
func (r PurchaseRequest) visibleTo(who web.Principal, offered bool) bool {
	switch {
	case who.Role == web.RoleAdmin, who.UserID == r.BuyerID, offered:
		return true
	case !r.Status.Open():
		return false
	}
	return r.welcomes(who.UserID)
}

// welcomes says that the member is among the preferred sellers, or that there
// are none.
func (r PurchaseRequest) welcomes(member cutover.ID) bool {
	return len(r.PreferredSellerIDs) == 0 || slices.Contains(r.PreferredSellerIDs, member)
}

// shownTo returns the request as a member may see it. Where to deliver is for
// its buyer, its selected seller and admins alone.
func (r PurchaseRequest) shownTo(who web.Principal, selected bool) PurchaseRequest {
	if r.DeliveryInfo == nil || selected || who.Role == web.RoleAdmin || who.UserID == r.BuyerID {
		return r
	}
	r.DeliveryInfo = &DeliveryInfo{DeliveryDetails: DeliveryDetails{DeliveryType: r.DeliveryInfo.DeliveryType}}
	return r
}
