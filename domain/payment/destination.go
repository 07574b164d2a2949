package payment

import (
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/money"
)

// Destination is the address that one payment's money arrives at. An address
// is never used again.
type Destination struct {
	cutover.Meta
	PaymentID       cutover.ID   `json:"paymentId" field:",ref=payment"`
	Address         string       `json:"address" field:"address,null"` // EIP-55
	ChainID         int64        `json:"chainId"`
	DerivationPath  string       `json:"derivationPath"`
	DerivationIndex int64        `json:"derivationIndex"`
	TrezorAccountID cutover.ID   `json:"trezorAccountId" field:",ref=trezor_account"`
	Status          string       `json:"status"` // active, swept
	TotalSwept      *money.Units `json:"totalSwept,omitempty"`
}

// Statuses of a Destination.
const (
	DestinationActive = "active"
	DestinationSwept  = "swept"
)

// AddressKey is equal for an address in whatever case: it is never used again.
func (d *Destination) AddressKey() string { return strings.ToLower(d.Address) }
