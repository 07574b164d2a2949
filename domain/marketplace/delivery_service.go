package marketplace

import (
	"context"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Shipment is what a seller says when the goods are on their way.
type Shipment struct {
	TrackingNumber string `json:"trackingNumber,omitempty" maxLength:"100"`
}

// Ship marks a paid request as on its way; for the selected seller.
func (s *Service) Ship(ctx context.Context, who web.Principal, id cutover.ID, d Shipment) (PurchaseRequest, error) {
	if err := limit.Check(d); err != nil {
		return PurchaseRequest{}, err
	}
	tracking, now := strings.TrimSpace(d.TrackingNumber), s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, err := requestAsSeller(ctx, tx, who, id)
		if err != nil {
			return PurchaseRequest{}, err
		}
		if err := r.ship(tracking, now); err != nil {
			return PurchaseRequest{}, err
		}
		return r, tx.Put(ctx, &r)
	})
}

// DeliveryCode is a code in the clear: it is shown once and stored nowhere.
type DeliveryCode struct {
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// GenerateCode makes a delivery code in place of any before it; for the buyer
// alone.
func (s *Service) GenerateCode(ctx context.Context, who web.Principal, id cutover.ID) (DeliveryCode, error) {
	now, code := s.now(), newCode()
	hash := codeHash(s.deps.CodeSecret, id, code)
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (DeliveryCode, error) {
		r, err := requestAsOnlyBuyer(ctx, tx, who, id)
		if err != nil {
			return DeliveryCode{}, err
		}
		if err := r.giveCode(hash, now); err != nil {
			return DeliveryCode{}, err
		}
		return DeliveryCode{Code: code, ExpiresAt: r.DeliveryInfo.DeliveryCodeExpiresAt}, tx.Put(ctx, &r)
	})
}

// CodeProof is a delivery code as a seller hands it in.
type CodeProof struct {
	Code string `json:"code" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
}

// codeTry is what became of one try of a delivery code.
type codeTry struct {
	request PurchaseRequest
	right   bool
}

// VerifyCode marks the request as delivered when the code is the one that the
// buyer was shown; for the selected seller. Errors: fault.Invalid on a wrong
// code; fault.Locked after five of them; fault.Conflict when there is no code
// to try. A wrong try is written before it is answered, so that tries at the
// same time are all counted.
func (s *Service) VerifyCode(ctx context.Context, who web.Principal, id cutover.ID, in CodeProof) (PurchaseRequest, error) {
	if err := limit.Check(in); err != nil {
		return PurchaseRequest{}, err
	}
	now, hash := s.now(), codeHash(s.deps.CodeSecret, id, in.Code)
	try, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (codeTry, error) {
		r, err := requestAsSeller(ctx, tx, who, id)
		if err != nil {
			return codeTry{}, err
		}
		right, err := r.tryCode(hash, now)
		if err != nil {
			return codeTry{}, err
		}
		return codeTry{r, right}, tx.Put(ctx, &r)
	})
	if err == nil && !try.right {
		err = fault.Field("code", "is not the buyer's code")
	}
	if err != nil {
		return PurchaseRequest{}, err
	}
	return try.request, nil
}

// ConfirmDelivery completes a request; for the buyer alone.
func (s *Service) ConfirmDelivery(ctx context.Context, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	eventID := cutover.NewID()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, err := requestAsOnlyBuyer(ctx, tx, who, id)
		if err != nil {
			return PurchaseRequest{}, err
		}
		if err := r.moveTo(StatusCompleted, ByMember); err != nil {
			return PurchaseRequest{}, err
		}
		if err := tell(ctx, tx, eventID, EventCompleted, r); err != nil {
			return PurchaseRequest{}, err
		}
		return r, tx.Put(ctx, &r)
	})
}
