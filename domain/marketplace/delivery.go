package marketplace

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// DeliveryDetails are where and how to deliver, as the buyer says it.
type DeliveryDetails struct {
	DeliveryType  string `json:"deliveryType,omitempty" enum:"physical,online"`
	RecipientName string `json:"recipientName,omitempty" maxLength:"200"`
	Phone         string `json:"phone,omitempty" maxLength:"50"`
	Email         string `json:"email,omitempty" maxLength:"254"`
	Address       string `json:"address,omitempty" format:"lines" maxLength:"500"`
	City          string `json:"city,omitempty" maxLength:"100"`
	State         string `json:"state,omitempty" maxLength:"100"`
	Country       string `json:"country,omitempty" maxLength:"100"`
	PostalCode    string `json:"postalCode,omitempty" maxLength:"20"`
}

// DeliveryInfo is what is known of a request's delivery. The delivery code
// proves that the buyer has met the goods: the buyer hands it to the seller,
// who enters it. Only a keyed hash of it is stored.
type DeliveryInfo struct {
	DeliveryDetails
	ShippedAt             time.Time `json:"shippedAt,omitzero"`
	TrackingNumber        string    `json:"trackingNumber,omitempty"`
	DeliveryCodeHash      string    `json:"-" field:"deliveryCodeHash"` // hex HMAC-SHA256
	DeliveryCodeExpiresAt time.Time `json:"deliveryCodeExpiresAt,omitzero"`
	DeliveryCodeUsedAt    time.Time `json:"deliveryCodeUsedAt,omitzero"`
	DeliveryCodeTries     int       `json:"-" field:"deliveryCodeTries"` // wrong ones since it was made
}

const (
	deliveryCodeLife = 7 * 24 * time.Hour
	maxCodeTries     = 5
)

// setDelivery replaces what the buyer says and keeps the rest.
func (r *PurchaseRequest) setDelivery(d *DeliveryDetails) {
	if d == nil {
		return
	}
	info := r.delivery()
	kind := info.DeliveryType
	info.DeliveryDetails = *d
	if info.DeliveryType == "" {
		info.DeliveryType = kind
	}
	r.DeliveryInfo = &info
}

// delivery returns a copy of the delivery's information to change, with its type
// filled in.
func (r PurchaseRequest) delivery() DeliveryInfo {
	var info DeliveryInfo
	if r.DeliveryInfo != nil {
		info = *r.DeliveryInfo
	}
	if info.DeliveryType == "" {
		info.DeliveryType = "online"
		if r.ProductType == "physical_product" {
			info.DeliveryType = "physical"
		}
	}
	return info
}

// ship marks the request as on its way. Doing so again only corrects the
// tracking number.
func (r *PurchaseRequest) ship(tracking string, now time.Time) error {
	info := r.delivery()
	if r.Status != StatusDelivery {
		if err := r.moveTo(StatusDelivery, ByMember); err != nil {
			return err
		}
		info.ShippedAt = now
	}
	info.TrackingNumber = tracking
	r.DeliveryInfo = &info
	return nil
}

// giveCode stores the hash of a new delivery code in place of any before.
func (r *PurchaseRequest) giveCode(hash string, now time.Time) error {
	if r.Status != StatusProcessing && r.Status != StatusDelivery {
		return fault.New(fault.Conflict, "there is no delivery to confirm while the purchase request is %s", r.Status)
	}
	info := r.delivery()
	info.DeliveryCodeHash = hash
	info.DeliveryCodeExpiresAt = now.Add(deliveryCodeLife)
	info.DeliveryCodeUsedAt = time.Time{}
	info.DeliveryCodeTries = 0
	r.DeliveryInfo = &info
	return nil
}

// tryCode compares a code's hash in constant time. When it is right the
// request is delivered; when it is wrong, that is counted: r has changed
// either way and must be put. It fails when there is nothing to try.
func (r *PurchaseRequest) tryCode(hash string, now time.Time) (right bool, err error) {
	info := r.delivery()
	switch {
	case !r.Status.CanBecome(StatusDelivered, ByMember):
		return false, fault.New(fault.Conflict, "a purchase request that is %s cannot become delivered", r.Status)
	case info.DeliveryCodeHash == "" || !info.DeliveryCodeUsedAt.IsZero():
		return false, fault.New(fault.Conflict, "the buyer has made no delivery code")
	case !now.Before(info.DeliveryCodeExpiresAt):
		return false, fault.New(fault.Conflict, "the delivery code has expired; the buyer can make a new one")
	case info.DeliveryCodeTries >= maxCodeTries:
		return false, fault.New(fault.Locked, "too many wrong codes; the buyer can make a new one")
	}
	right = hmac.Equal([]byte(hash), []byte(info.DeliveryCodeHash))
	if right {
		info.DeliveryCodeUsedAt = now
		r.Status = StatusDelivered
	} else {
		info.DeliveryCodeTries++
	}
	r.DeliveryInfo = &info
	return right, nil
}

// newCode makes six digits from a cryptographic source.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // never: crypto/rand ends the process instead
	}
	return fmt.Sprintf("%06d", n)
}

// codeHash is what is stored of a code: useless without the secret, and on
// any other request.
func codeHash(secret []byte, request cutover.ID, code string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("delivery-code\x00" + request.String() + "\x00" + code))
	return hex.EncodeToString(mac.Sum(nil))
}
