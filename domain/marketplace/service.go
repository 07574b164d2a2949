package marketplace

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/web"
)

// Whom something is for.
var (
	admins  = web.Roles(web.RoleAdmin)
	sellers = web.Roles(web.RoleSeller)
	traders = web.Roles(web.RoleBuyer, web.RoleSeller)
)

// People is what the marketplace asks of the user domain.
type People interface {
	// MissingSellers returns those of ids that are no active seller.
	MissingSellers(ctx context.Context, ids []cutover.ID) (missing []cutover.ID, err error)
	// Sellers returns the active sellers whose id is below after (any when
	// zero), by id descending: the newest first.
	Sellers(ctx context.Context, after cutover.ID, limit int) ([]Seller, error)
}

// Seller is what members see of a seller. Of a private profile there is no
// bio, website and memberSince.
type Seller struct {
	ID          cutover.ID `json:"id"`
	FirstName   string     `json:"firstName"`
	LastName    string     `json:"lastName"`
	Avatar      string     `json:"avatar,omitempty"`
	Bio         string     `json:"bio,omitempty"`
	Website     string     `json:"website,omitempty"`
	MemberSince time.Time  `json:"memberSince,omitzero"`
}

// Escrow is what the marketplace asks of the payment domain.
type Escrow interface {
	// MoneyHeld says whether money for the request is held, or on its way out.
	MoneyHeld(ctx context.Context, requestID cutover.ID) (bool, error)
}

// minSecret is how many bytes a server secret needs at least.
const minSecret = 32

// Deps are what the service is made of.
type Deps struct {
	DB         *cutover.Domain
	People     People
	Escrow     Escrow
	CodeSecret []byte           // keys the hashes of delivery codes: with another one, codes that are out no longer work
	Log        *slog.Logger     // nil: slog.Default()
	Now        func() time.Time // nil: cutover.Now
}

// Service is the marketplace as its callers see it. It decides who may do
// what. It is safe for concurrent use.
type Service struct {
	db   *cutover.Domain
	deps Deps
	log  *slog.Logger
}

// New makes the service. Errors: when the secret is too short, or something is
// missing.
func New(deps Deps) (*Service, error) {
	if len(deps.CodeSecret) < minSecret {
		return nil, errors.New("marketplace: CODE_SECRET needs at least 32 bytes")
	}
	if deps.People == nil || deps.Escrow == nil {
		return nil, errors.New("marketplace: nobody answers for People or Escrow")
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Now == nil {
		deps.Now = cutover.Now
	}
	return &Service{db: deps.DB, deps: deps, log: deps.Log}, nil
}

// now is the present in the precision that is stored.
func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

// requestFor reads a request for a member, with the offers that the member
// has made on it. Errors: fault.NotFound, alike when there is none and when the
// member may not see it.
func requestFor(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (PurchaseRequest, []SellerOffer, error) {
	r, own, err := requestAndOwnOffers(ctx, tx, who, id)
	if err == nil && !r.visibleTo(who, len(own) > 0) {
		err = errNoRequest()
	}
	if err != nil {
		return PurchaseRequest{}, nil, err
	}
	return r, own, nil
}

func requestAndOwnOffers(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (PurchaseRequest, []SellerOffer, error) {
	r, err := cutover.Get[PurchaseRequest](ctx, tx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return PurchaseRequest{}, nil, errNoRequest()
	case err != nil:
		return PurchaseRequest{}, nil, err
	case who.UserID == r.BuyerID, who.Role == web.RoleAdmin:
		return r, nil, nil
	}
	own, err := cutover.Find[SellerOffer](ctx, tx, ownOffers(who, id))
	return r, own, err
}

func errNoRequest() error { return fault.New(fault.NotFound, "there is no such purchase request") }

// requestAsBuyer is requestFor for what only the buyer may do, or an admin in
// their place.
func requestAsBuyer(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	r, _, err := requestFor(ctx, tx, who, id)
	if err == nil && who.UserID != r.BuyerID && who.Role != web.RoleAdmin {
		err = fault.New(fault.Forbidden, "only the buyer may do this")
	}
	return r, err
}

// requestAsOnlyBuyer is requestAsBuyer for what nobody does in their place.
func requestAsOnlyBuyer(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	r, _, err := requestFor(ctx, tx, who, id)
	if err == nil && who.UserID != r.BuyerID {
		err = fault.New(fault.Forbidden, "only the buyer may do this")
	}
	return r, err
}

// requestAsSeller is requestFor for what only the selected seller may do.
func requestAsSeller(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	r, own, err := requestFor(ctx, tx, who, id)
	if err == nil && !r.selectedAmong(own) {
		err = fault.New(fault.Forbidden, "only the selected seller may do this")
	}
	return r, err
}

// selectedAmong says that one of the offers is the request's selected one.
func (r PurchaseRequest) selectedAmong(offers []SellerOffer) bool {
	return slices.ContainsFunc(offers, func(o SellerOffer) bool {
		return o.ID == r.SelectedOfferID && o.Status == OfferAccepted
	})
}
