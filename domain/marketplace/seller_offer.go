package marketplace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
)

// SellerOffer is what a seller asks for fulfilling a purchase request.
type SellerOffer struct {
	cutover.Meta
	SellerID          cutover.ID    `json:"sellerId" field:",ref=user"`
	PurchaseRequestID cutover.ID    `json:"purchaseRequestId" field:",ref=purchase_request"`
	Title             string        `json:"title,omitempty"`
	Description       string        `json:"description"`
	Price             Price         `json:"price"`
	DeliveryTime      *DeliveryTime `json:"deliveryTime,omitempty"`
	Status            OfferStatus   `json:"status" field:",was=active:pending"`
	Attachments       []string      `json:"attachments,omitempty"` // links
	Notes             string        `json:"notes,omitempty"`
	ValidUntil        time.Time     `json:"validUntil,omitzero"` // zero: without end
	RequireAmlCheck   bool          `json:"requireAmlCheck"`
	AmlBlockOnFailure bool          `json:"amlBlockOnFailure"`
}

// Price is an offer's price, more than 0.
type Price struct {
	Amount   money.Amount `json:"amount" exclusiveMinimum:"0"`
	Currency string       `json:"currency" enum:"USD,EUR,IRR,TRY,USDT,USDC"`
}

// DeliveryTime is how long a seller will need.
type DeliveryTime struct {
	Amount int    `json:"amount" minimum:"1" maximum:"1000"`
	Unit   string `json:"unit" enum:"hours,days,weeks"`
}

// OfferStatus is where an offer stands.
type OfferStatus string

// The statuses. Only a pending offer can change; the others are final.
const (
	OfferPending   OfferStatus = "pending"
	OfferAccepted  OfferStatus = "accepted"
	OfferRejected  OfferStatus = "rejected"
	OfferWithdrawn OfferStatus = "withdrawn"
)

// OfferStatuses lists them.
var OfferStatuses = []OfferStatus{OfferPending, OfferAccepted, OfferRejected, OfferWithdrawn}

// Live says that the offer takes its seller's place on the request.
func (s OfferStatus) Live() bool { return s == OfferPending || s == OfferAccepted }

// Normalize reads the older name of pending, and refuses statuses that no
// version of the application wrote.
func (o *SellerOffer) Normalize() error {
	if !slices.Contains(OfferStatuses, o.Status) {
		return fmt.Errorf("status %.40q is not known", string(o.Status))
	}
	return nil
}

// LiveKey is what must be unique: a seller's live offer on a request. "" when
// the offer is not live.
func (o SellerOffer) LiveKey() string {
	if !o.Status.Live() || o.PurchaseRequestID.IsZero() || o.SellerID.IsZero() {
		return ""
	}
	return o.PurchaseRequestID.String() + ":" + o.SellerID.String()
}

// Expired says that a pending offer's time is over: it counts as withdrawn.
func (o SellerOffer) Expired(now time.Time) bool {
	return o.Status == OfferPending && !o.ValidUntil.IsZero() && o.ValidUntil.Before(now)
}

// OfferDraft is what a seller says of a new offer.
type OfferDraft struct {
	Title             string        `json:"title,omitempty" maxLength:"200"`
	Description       string        `json:"description" format:"lines" minLength:"1" maxLength:"1000"`
	Price             Price         `json:"price"`
	DeliveryTime      *DeliveryTime `json:"deliveryTime,omitempty"`
	Attachments       []string      `json:"attachments,omitempty" maxItems:"10" format:"link" minLength:"1" maxLength:"2000"`
	Notes             string        `json:"notes,omitempty" format:"lines" maxLength:"1000"`
	ValidUntil        time.Time     `json:"validUntil,omitzero" required:"false"`
	RequireAmlCheck   bool          `json:"requireAmlCheck,omitempty"`
	AmlBlockOnFailure bool          `json:"amlBlockOnFailure,omitempty"`
}

// OfferPatch is a change to an offer; nil leaves a field as it is.
type OfferPatch struct {
	Title             *string       `json:"title,omitempty" maxLength:"200"`
	Description       *string       `json:"description,omitempty" format:"lines" minLength:"1" maxLength:"1000"`
	Price             *Price        `json:"price,omitempty"`
	DeliveryTime      *DeliveryTime `json:"deliveryTime,omitempty"`
	Attachments       *[]string     `json:"attachments,omitempty" maxItems:"10" format:"link" minLength:"1" maxLength:"2000"`
	Notes             *string       `json:"notes,omitempty" format:"lines" maxLength:"1000"`
	ValidUntil        *time.Time    `json:"validUntil,omitempty"`
	RequireAmlCheck   *bool         `json:"requireAmlCheck,omitempty"`
	AmlBlockOnFailure *bool         `json:"amlBlockOnFailure,omitempty"`
}

func newOffer(id, seller, request cutover.ID, d OfferDraft) SellerOffer {
	o := SellerOffer{
		Meta: cutover.Meta{ID: id}, SellerID: seller, PurchaseRequestID: request, Status: OfferPending,
		Title: d.Title, Description: d.Description, Price: d.Price, DeliveryTime: d.DeliveryTime,
		Attachments: d.Attachments, Notes: d.Notes, ValidUntil: d.ValidUntil,
		RequireAmlCheck: d.RequireAmlCheck, AmlBlockOnFailure: d.AmlBlockOnFailure,
	}
	o.tidy()
	return o
}

// apply changes what p names. Only a pending offer can be changed.
func (o *SellerOffer) apply(p OfferPatch, now time.Time) error {
	if err := o.mustBePending(now); err != nil {
		return err
	}
	if err := p.check(now); err != nil {
		return err
	}
	set(&o.Title, p.Title)
	set(&o.Description, p.Description)
	set(&o.Price, p.Price)
	set(&o.Attachments, p.Attachments)
	set(&o.Notes, p.Notes)
	set(&o.ValidUntil, p.ValidUntil)
	set(&o.RequireAmlCheck, p.RequireAmlCheck)
	set(&o.AmlBlockOnFailure, p.AmlBlockOnFailure)
	if p.DeliveryTime != nil {
		o.DeliveryTime = p.DeliveryTime
	}
	o.tidy()
	return nil
}

func (o SellerOffer) mustBePending(now time.Time) error {
	if o.Expired(now) {
		return fault.New(fault.Conflict, "the offer was valid until %s", o.ValidUntil.Format(time.RFC3339))
	}
	if o.Status != OfferPending {
		return fault.New(fault.Conflict, "the offer is %s", o.Status)
	}
	return nil
}

// tidy brings times to what both databases keep. It makes a new list of links:
// the caller's stays as it is.
func (o *SellerOffer) tidy() {
	o.Attachments = slices.Clone(o.Attachments)
	for i, link := range o.Attachments {
		o.Attachments[i] = strings.TrimSpace(link)
	}
	o.Title = strings.TrimSpace(o.Title)
	o.Description = strings.TrimSpace(o.Description)
	if !o.ValidUntil.IsZero() {
		o.ValidUntil = o.ValidUntil.UTC().Truncate(time.Millisecond)
	}
}

// check says what is wrong with what the seller wrote.
func (d OfferDraft) check(now time.Time) error {
	found := limit.Of(d)
	checkValidUntil(found, d.ValidUntil, now)
	return found.Err()
}

// check is about what p names.
func (p OfferPatch) check(now time.Time) error {
	found := limit.Of(p)
	if p.ValidUntil != nil {
		checkValidUntil(found, *p.ValidUntil, now)
	}
	return found.Err()
}

func checkValidUntil(found limit.Findings, until, now time.Time) {
	found.Want(until.IsZero() || until.After(now), "validUntil", "must be in the future")
	found.Want(until.Year() < 10000, "validUntil", "is too far away")
}
