package marketplace

import (
	"slices"
	"strconv"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
)

// PurchaseRequest is what a buyer wants, from posting it to the seller's
// being paid.
type PurchaseRequest struct {
	cutover.Meta
	BuyerID            cutover.ID      `json:"buyerId" field:",ref=user"`
	Title              string          `json:"title"`
	Description        string          `json:"description"`
	CategoryID         cutover.ID      `json:"categoryId,omitzero" field:",ref=category"`
	ProductType        string          `json:"productType"` // one of ProductTypes
	ProductLink        string          `json:"productLink,omitempty"`
	Size               string          `json:"size,omitempty"`
	Color              string          `json:"color,omitempty"`
	Brand              string          `json:"brand,omitempty"`
	Quantity           int             `json:"quantity"`
	Budget             *Budget         `json:"budget,omitempty"`
	Urgency            string          `json:"urgency"` // one of Urgencies
	Specifications     []Specification `json:"specifications,omitempty" field:",jsonb"`
	PreferredSellerIDs []cutover.ID    `json:"preferredSellerIds,omitempty" field:",table=purchase_request_preferred_sellers,ref=user"`
	DeliveryInfo       *DeliveryInfo   `json:"deliveryInfo,omitempty"`
	SelectedOfferID    cutover.ID      `json:"selectedOfferId,omitzero" field:",ref=seller_offer"`
	Status             RequestStatus   `json:"status"`
}

// Budget is what a buyer means to pay, both ends included.
type Budget struct {
	Min      money.Amount `json:"min"`
	Max      money.Amount `json:"max"`
	Currency string       `json:"currency" enum:"USD,EUR,IRR,USDT,USDC"`
}

// Specification is one further property of what is wanted.
type Specification struct {
	Key   string `json:"key" minLength:"1" maxLength:"100"`
	Value string `json:"value" maxLength:"500"`
	Label string `json:"label,omitempty" maxLength:"200"`
}

// What the fields of a request may be.
var (
	ProductTypes     = []string{"physical_product", "digital_product", "service", "consultation"}
	Urgencies        = []string{"low", "medium", "high", "urgent"}
	BudgetCurrencies = []string{"USD", "EUR", "IRR", "USDT", "USDC"}
)

// The limits of a request's texts, in characters, and of its lists.
const (
	maxTitle              = 200
	maxRequestDescription = 2000
	maxTrait              = 100 // size, color, brand
	maxLink               = 2000
	maxSpecifications     = 50
	maxPreferredSellers   = 50
	maxQuantity           = 1_000_000
)

// Normalize refuses what no version of the application wrote.
func (r *PurchaseRequest) Normalize() error { return r.Status.check() }

// RequestDraft is what a buyer says of a new request.
type RequestDraft struct {
	Title              string           `json:"title" minLength:"1" maxLength:"200"`
	Description        string           `json:"description" minLength:"1" maxLength:"2000"`
	CategoryID         cutover.ID       `json:"categoryId,omitzero" required:"false"`
	ProductType        string           `json:"productType" enum:"physical_product,digital_product,service,consultation"`
	ProductLink        string           `json:"productLink,omitempty" maxLength:"2000"`
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
	Description        *string          `json:"description,omitempty" minLength:"1" maxLength:"2000"`
	CategoryID         *cutover.ID      `json:"categoryId,omitempty"`
	ProductType        *string          `json:"productType,omitempty" enum:"physical_product,digital_product,service,consultation"`
	ProductLink        *string          `json:"productLink,omitempty" maxLength:"2000"`
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

// apply changes what p names and checks the outcome. Once an offer is chosen
// the terms stand, and only where to deliver may still change, until the
// seller ships.
func (r *PurchaseRequest) apply(p RequestPatch) error {
	beforeShipping := r.Status == StatusPayment || r.Status == StatusProcessing
	if !r.Status.Open() && (!beforeShipping || !p.onlyDelivery()) {
		return fault.New(fault.Conflict, "a purchase request that is %s cannot be changed like this", r.Status)
	}
	r.setDelivery(p.DeliveryInfo)
	if p.onlyDelivery() {
		// Terms from before these rules must not keep a buyer from moving.
		bad := checks{}
		r.DeliveryInfo.check(bad)
		return bad.err()
	}
	r.setTerms(p)
	r.tidy()
	return r.check()
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
func (r PurchaseRequest) check() error {
	bad := checks{}
	bad.required(r.Title, "title", maxTitle)
	bad.required(r.Description, "description", maxRequestDescription)
	bad.oneOf(r.ProductType, "productType", ProductTypes)
	bad.oneOf(r.Urgency, "urgency", Urgencies)
	bad.text(r.Size, "size", maxTrait)
	bad.text(r.Color, "color", maxTrait)
	bad.text(r.Brand, "brand", maxTrait)
	bad.that(r.Quantity >= 1 && r.Quantity <= maxQuantity, "quantity", "must be at least 1")
	if r.ProductLink != "" {
		bad.link(r.ProductLink, "productLink")
	}
	r.Budget.check(bad)
	r.checkLists(bad)
	r.DeliveryInfo.check(bad)
	return bad.err()
}

func (b *Budget) check(bad checks) {
	if b == nil {
		return
	}
	bad.positive(b.Min, "budget.min")
	bad.positive(b.Max, "budget.max")
	bad.that(b.Min.Cmp(b.Max) <= 0, "budget.min", "must not be more than max")
	bad.oneOf(b.Currency, "budget.currency", BudgetCurrencies)
}

func (r PurchaseRequest) checkLists(bad checks) {
	bad.that(len(r.Specifications) <= maxSpecifications, "specifications", "are too many")
	for i, s := range r.Specifications {
		at := "specifications[" + strconv.Itoa(i) + "]."
		bad.required(s.Key, at+"key", 100)
		bad.text(s.Value, at+"value", 500)
		bad.text(s.Label, at+"label", 200)
	}
	bad.that(len(r.PreferredSellerIDs) <= maxPreferredSellers, "preferredSellerIds", "are too many")
	for _, id := range r.PreferredSellerIDs {
		bad.that(!id.IsZero() && id != r.BuyerID, "preferredSellerIds", "must name sellers other than the buyer")
	}
}

// visibleTo says whether a member may see the request; offered says that they
// have made an offer on it. Nobody learns of a request that they may not see.
func (r PurchaseRequest) visibleTo(who Member, offered bool) bool {
	switch {
	case who.Role == RoleAdmin, who.UserID == r.BuyerID, offered:
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

// shownTo gives the request as a member may see it. Where to deliver is for
// its buyer, its selected seller and admins alone.
func (r PurchaseRequest) shownTo(who Member, selected bool) PurchaseRequest {
	if r.DeliveryInfo == nil || selected || who.Role == RoleAdmin || who.UserID == r.BuyerID {
		return r
	}
	r.DeliveryInfo = &DeliveryInfo{DeliveryDetails: DeliveryDetails{DeliveryType: r.DeliveryInfo.DeliveryType}}
	return r
}
