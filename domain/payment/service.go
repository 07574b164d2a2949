package payment

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Deals answers what this domain must know of the marketplace.
type Deals interface {
	// Deal describes the offer and its request. Errors: fault.NotFound when
	// there is no such request, or the offer is not one of it.
	Deal(ctx context.Context, requestID, offerID cutover.ID) (Deal, error)
}

// Deal is an offer for a purchase request, at this moment.
type Deal struct {
	BuyerID, SellerID          cutover.ID
	RequestStatus, OfferStatus string
	Price                      money.Amount
	Currency                   string
}

// Wallets answers where a user takes money.
type Wallets interface {
	// VerifiedWallet returns a user's verified wallet. Errors: fault.NotFound when
	// there is none.
	VerifiedWallet(ctx context.Context, userID cutover.ID) (address, chain string, err error)
}

// Deps are what the service is made of. What is left out of the prices, the
// scanner and the fee is done without: token prices are paid one to one.
type Deps struct {
	DB      *cutover.Domain
	Deals   Deals
	Wallets Wallets
	// Quoter prices offers when it is set (ORACLE_QUOTING_ENABLED).
	Quoter *Quoter
	// Scanner is told of every intent when it is set (AMN_SCANNER_URL).
	Scanner Scanner
	// CallbackURL is where the scanner finds the webhook; "" when it knows.
	CallbackURL string
	// FeeBps is the platform's part of a release, in 1/10000
	// (PLATFORM_FEE_BPS, 0 to 10000, default 0).
	FeeBps int64
	// Life of a pending payment; default DefaultLife.
	Life time.Duration
	// Floors raise the confirmations that a chain needs. A figure below the
	// network's floor counts as the floor.
	Floors map[int64]int64
	Log    *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: cutover.Now
}

// DefaultLife is how long a pending payment waits for money.
const DefaultLife = 30 * time.Minute

// check says what is wrong with what the service is made of, if anything.
func (d Deps) check() error {
	if d.Deals == nil || d.Wallets == nil {
		return errors.New("payment: nobody answers for Deals or Wallets")
	}
	if d.FeeBps < 0 || d.FeeBps > bpsOne {
		return fmt.Errorf("PLATFORM_FEE_BPS: want 0 to %d", bpsOne)
	}
	if d.Quoter != nil && len(d.Quoter.Sources) < minSources {
		return fmt.Errorf("ORACLE_SOURCES: want at least %d sources while ORACLE_QUOTING_ENABLED=true", minSources)
	}
	if d.Quoter != nil && (d.Quoter.Validity < MinValidity || d.Quoter.Validity > MaxValidity) {
		return fmt.Errorf("QUOTE_VALIDITY_S: want %d to %d", int(MinValidity.Seconds()), int(MaxValidity.Seconds()))
	}
	return nil
}

// Service does what the routes and the other domains ask of payments. It
// decides who may do what. It is safe for concurrent use.
type Service struct {
	db   *cutover.Domain
	deps Deps
	log  *slog.Logger
	// deriving admits one new intent at a time: all of them count up the same
	// account, and would only run into each other.
	deriving chan struct{}
}

// New makes the service. Errors: when a figure is out of its range, or something
// is missing.
func New(deps Deps) (*Service, error) {
	if err := deps.check(); err != nil {
		return nil, err
	}
	if deps.Life <= 0 {
		deps.Life = DefaultLife
	}
	if deps.Now == nil {
		deps.Now = cutover.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return &Service{db: deps.DB, deps: deps, log: deps.Log, deriving: make(chan struct{}, 1)}, nil
}

// now is the present in the precision that is stored.
func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

// Whom something is for.
var (
	admins = web.Roles(web.RoleAdmin)
	judges = web.Roles(web.RoleAdmin, web.RoleResolver)
)

// View of a payment for its owners and admins. Who shows the payment decides
// about the rest.
type View struct {
	Payment
	Checkout *Checkout `json:"checkout,omitempty"`
	Holds    []Hold    `json:"holds,omitempty"` // open ones
}

// Checkout is what a buyer needs to pay.
type Checkout struct {
	Destination  string       `json:"destination"`
	ChainID      int64        `json:"chainId"`
	Network      string       `json:"network"`
	Token        string       `json:"token"`
	TokenAddress string       `json:"tokenAddress"`
	Decimals     int32        `json:"decimals"`
	Amount       money.Amount `json:"amount"` // of the token
	Units        money.Units  `json:"units"`  // the same in smallest units
	Reference    string       `json:"reference"`
	ExpiresAt    time.Time    `json:"expiresAt,omitzero"`
	Quote        *Quote       `json:"quote,omitempty"`
}

// Get returns a payment to its buyer, its seller or an admin. It changes
// nothing. Errors: fault.NotFound also for other people's payments.
func (s *Service) Get(ctx context.Context, who web.Principal, id cutover.ID) (View, error) {
	return cutover.View(ctx, s.db, QueryPayment, func(ctx context.Context, tx cutover.Tx) (View, error) {
		p, err := cutover.Get[Payment](ctx, tx, id)
		if err != nil {
			return View{}, err
		}
		if who.Role != web.RoleAdmin && !p.OwnedBy(who.UserID) {
			return View{}, errNoPayment()
		}
		return view(ctx, tx, p)
	})
}

func errNoPayment() error { return fault.New(fault.NotFound, "there is no such payment") }

// view adds checkout and open holds.
func view(ctx context.Context, tx cutover.Tx, p Payment) (View, error) {
	quote, err := quoteOf(ctx, tx, p.ID)
	if err != nil {
		return View{}, err
	}
	holds, err := OpenHolds(ctx, tx, p.ID)
	if err != nil {
		return View{}, err
	}
	return View{Payment: p, Checkout: checkout(&p, quote), Holds: holds}, nil
}

// quoteOf returns nil when the payment has no quote.
func quoteOf(ctx context.Context, tx cutover.Tx, payment cutover.ID) (*Quote, error) {
	q, err := QuoteOf(ctx, tx, payment)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &q, nil
}

// List returns the caller's payments, the newest first, after the given one, at
// most limit; to an admin all payments.
func (s *Service) List(ctx context.Context, who web.Principal, after cutover.ID, limit int) ([]Payment, error) {
	return cutover.View(ctx, s.db, QueryPayments, func(ctx context.Context, tx cutover.Tx) ([]Payment, error) {
		if who.Role == web.RoleAdmin {
			return Payments(ctx, tx, after, limit)
		}
		return PaymentsOfUser(ctx, tx, who.UserID, after, limit)
	})
}

// MoneyHeld says whether a request's money is in escrow or on its way there.
func (s *Service) MoneyHeld(ctx context.Context, requestID cutover.ID) (bool, error) {
	return cutover.View(ctx, s.db, QueryOfRequest, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		payments, err := PaymentsOfRequest(ctx, tx, requestID)
		for _, p := range payments {
			if p.hasMoney() {
				return true, err
			}
		}
		return false, err
	})
}

// HeldPayments counts the payments of which the user is the buyer or seller
// and whose money is in escrow or on its way there: without an account it could go to nobody.
func (s *Service) HeldPayments(ctx context.Context, userID cutover.ID) (int64, error) {
	return cutover.View(ctx, s.db, QueryPayments, func(ctx context.Context, tx cutover.Tx) (int64, error) {
		return countHeld(ctx, tx, userID)
	})
}

func countHeld(ctx context.Context, tx cutover.Tx, userID cutover.ID) (int64, error) {
	const page = 200
	var count int64
	var after cutover.ID
	for {
		payments, err := PaymentsOfUser(ctx, tx, userID, after, page)
		if err != nil {
			return 0, err
		}
		for _, p := range payments {
			if after = p.ID; p.hasMoney() {
				count++
			}
		}
		if len(payments) < page {
			return count, nil
		}
	}
}

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}

// none is the result of an Update that has none.
type none struct{}

// update runs fn for its writes alone.
func (s *Service) update(ctx context.Context, fn func(ctx context.Context, tx cutover.Tx) error) error {
	_, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (none, error) {
		return none{}, fn(ctx, tx)
	})
	return err
}
