package payment

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Intent is a buyer's wish to pay for an accepted offer.
type Intent struct {
	PurchaseRequestID cutover.ID    `json:"purchaseRequestId"`
	SellerOfferID     cutover.ID    `json:"sellerOfferId"`
	ChainID           int64         `json:"chainId" doc:"EIP-155 chain id: 1, 56, 137, 8453 or 42161"`
	Token             string        `json:"token" minLength:"1" maxLength:"64" doc:"Symbol (USDC, USDT) or contract address"`
	Amount            *money.Amount `json:"amount,omitempty" doc:"Of the token. Must be the price; ignored while the server quotes"`
}

// States of the marketplace in which an offer can be paid.
const (
	requestInPayment = "payment"
	requestCompleted = "completed"
	offerAccepted    = "accepted"
)

// CreateIntent returns the pending payment for an accepted offer, and makes it
// if there is none. A second attempt gets the first one back, whatever chain
// and token it asks for. Errors: fault.Invalid for a chain or token that is
// not payable or an amount that is not the price; fault.Forbidden for anybody
// but the request's buyer; fault.Conflict when the deal is not to be paid or
// is paid; fault.Unavailable without a wallet key or a price.
func (s *Service) CreateIntent(ctx context.Context, who web.Principal, in Intent) (View, error) {
	if err := limit.Check(in); err != nil {
		return View{}, err
	}
	network, token, err := payable(in)
	if err != nil {
		return View{}, err
	}
	deal, err := s.payableDeal(ctx, who, in)
	if err != nil {
		return View{}, err
	}
	found, err := s.current(ctx, in, deal)
	if err != nil || found != nil {
		return deref(found), err
	}
	d, err := s.draft(ctx, in, deal, network, token)
	if err != nil {
		return View{}, err
	}
	made, err := s.open(ctx, in, d)
	if err != nil {
		return View{}, err
	}
	s.announce(ctx, made.ID)
	return made, nil
}

func deref(v *View) View {
	if v == nil {
		return View{}
	}
	return *v
}

// payable finds the token that an intent names.
func payable(in Intent) (chain.Network, chain.Token, error) {
	network, ok := chain.NetworkOf(in.ChainID)
	if !ok || len(network.Tokens) == 0 {
		return network, chain.Token{}, fault.Field("chainId", "payments on this chain are not possible")
	}
	token, ok := network.Token(in.Token)
	if !ok {
		return network, token, fault.Field("token", "is not payable on %s", network.Name)
	}
	return network, token, nil
}

// payableDeal asks the marketplace, and checks that the caller may pay now.
func (s *Service) payableDeal(ctx context.Context, who web.Principal, in Intent) (Deal, error) {
	deal, err := s.deps.Deals.Deal(ctx, in.PurchaseRequestID, in.SellerOfferID)
	if err != nil {
		return Deal{}, err
	}
	switch {
	case who.UserID.IsZero() || deal.BuyerID != who.UserID:
		return Deal{}, fault.New(fault.Forbidden, "only the request's buyer can pay for it")
	case deal.RequestStatus != requestInPayment:
		return Deal{}, fault.New(fault.Conflict, "this request is not waiting for a payment")
	case deal.OfferStatus != offerAccepted:
		return Deal{}, fault.New(fault.Conflict, "this offer is not the accepted one")
	case deal.Price.Sign() <= 0:
		return Deal{}, fault.New(fault.Conflict, "this offer has no price")
	}
	return deal, nil
}

// current returns the payment that an intent gets back as it is; nil when
// something has to be written: there is none, or it or its quote is past its
// end, or it is for another offer.
func (s *Service) current(ctx context.Context, in Intent, deal Deal) (*View, error) {
	now := s.now()
	return cutover.View(ctx, s.db, QueryOfRequest, func(ctx context.Context, tx cutover.Tx) (*View, error) {
		live, err := liveIntent(ctx, tx, in.PurchaseRequestID, deal.BuyerID)
		if err != nil || live == nil || live.spent(in, now) {
			return nil, err
		}
		v, err := view(ctx, tx, *live)
		if err != nil || (live.Status == Pending && v.Checkout.outdated(now)) {
			return nil, err
		}
		return &v, nil
	})
}

// outdated says that the checkout's quote holds no more.
func (c *Checkout) outdated(now time.Time) bool {
	return c != nil && c.Quote != nil && c.Quote.Expired(now)
}

// spent says that a pending payment cannot serve the intent any more.
func (p *Payment) spent(in Intent, now time.Time) bool {
	return p.Stale(now) || (p.Status == Pending && p.SellerOfferID != in.SellerOfferID)
}

// liveIntent finds the buyer's payment of a request that is pending or being
// paid. Errors: fault.Conflict when the request is paid already.
func liveIntent(ctx context.Context, tx cutover.Tx, requestID, buyerID cutover.ID) (*Payment, error) {
	all, err := PaymentsOfRequest(ctx, tx, requestID)
	if err != nil {
		return nil, err
	}
	for i := range all {
		p := &all[i]
		if p.BuyerID != buyerID || p.Direction != DirectionIn {
			continue
		}
		if p.Status == Completed || p.Status == Paid {
			return nil, fault.New(fault.Conflict, "this request is paid already")
		}
		if p.Status.Open() && p.Provider == ProviderRequestNetwork {
			return p, nil
		}
	}
	return nil, nil
}

// draft is a new payment with its quote, before it has an address.
type draft struct {
	payment Payment
	quote   *Quote // nil while quoting is off
	token   chain.Token
}

// draft makes all that must stay the same however often the Update runs, and
// asks for prices, which an Update must not wait for.
func (s *Service) draft(ctx context.Context, in Intent, deal Deal, network chain.Network, token chain.Token) (draft, error) {
	price := Price{Amount: deal.Price, Currency: deal.Currency}
	units, quote, err := s.price(ctx, in, price, token)
	if err != nil {
		return draft{}, err
	}
	now := s.now()
	return draft{quote: quote, token: token, payment: Payment{
		Meta:              cutover.Meta{ID: cutover.NewID()},
		PurchaseRequestID: in.PurchaseRequestID, SellerOfferID: in.SellerOfferID,
		BuyerID: deal.BuyerID, SellerID: deal.SellerID, Amount: price,
		Provider: ProviderRequestNetwork, Direction: DirectionIn, Status: Pending,
		ExpectedUnits: &units, EscrowBalance: new(money.Units), ReceivedUnits: new(money.Units),
		CallbackSecret: randomHex(32), Salt: randomHex(8),
		ExpiresAt: now.Add(s.deps.Life),
		Blockchain: &Blockchain{
			ChainID: network.ID, Network: network.Name, Token: token.Symbol, TokenAddress: token.Address,
			ConfirmationsRequired: max(network.Floor, s.deps.Floors[network.ID]),
		},
	}}, nil
}

// price says how many units pay the offer.
func (s *Service) price(ctx context.Context, in Intent, price Price, token chain.Token) (money.Units, *Quote, error) {
	if s.deps.Quoter != nil {
		q, err := s.deps.Quoter.Quote(ctx, price, in.ChainID, token)
		return q.OnChainUnits, &q, err
	}
	units, err := peggedUnits(price, token)
	if err != nil {
		return money.Units{}, nil, err
	}
	if want := token.Amount(units); in.Amount != nil && !in.Amount.Equal(want) {
		return money.Units{}, nil, fault.Field("amount", "the offer's price is %s %s", want, token.Symbol)
	}
	return units, nil, nil
}

// open writes the draft, unless another attempt was faster: then that one is
// given, with a fresh quote if its own has expired.
func (s *Service) open(ctx context.Context, in Intent, d draft) (View, error) {
	select {
	case s.deriving <- struct{}{}:
		defer func() { <-s.deriving }()
	case <-ctx.Done():
		return View{}, fault.Wrap(ctx.Err(), fault.Unavailable, "too many payments are being opened at the moment")
	}
	// In an Update of its own, so that the rule of one pending payment is free
	// before the next one takes it.
	if err := s.retire(ctx, in, d.payment.BuyerID); err != nil {
		return View{}, err
	}
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (View, error) {
		live, err := liveIntent(ctx, tx, in.PurchaseRequestID, d.payment.BuyerID)
		if err != nil {
			return View{}, err
		}
		if live == nil {
			return insert(ctx, tx, d)
		}
		return requote(ctx, tx, *live, d, now)
	})
}

// retire cancels a pending payment that has expired or is for another offer.
func (s *Service) retire(ctx context.Context, in Intent, buyerID cutover.ID) error {
	now := s.now()
	return s.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		live, err := liveIntent(ctx, tx, in.PurchaseRequestID, buyerID)
		if err != nil || live == nil || !live.spent(in, now) {
			return err
		}
		live.Cancel()
		return tx.Put(ctx, live)
	})
}

// insert derives the address and puts all that belongs to a new payment.
func insert(ctx context.Context, tx cutover.Tx, d draft) (View, error) {
	p, b := d.payment, *d.payment.Blockchain
	p.Blockchain = &b
	dest, account, err := derive(ctx, tx, p.ID, b.ChainID)
	if err != nil {
		return View{}, err
	}
	b.Destination = dest.Address
	b.PaymentReference = chain.Reference(p.ID.String(), p.Salt, dest.Address)
	for _, r := range []cutover.Record{&p, &account, &dest} {
		if err := tx.Put(ctx, r); err != nil {
			return View{}, err
		}
	}
	quote, err := putQuote(ctx, tx, d.quote, cutover.Meta{}, p.ID)
	return View{Payment: p, Checkout: checkout(&p, quote)}, err
}

// derive takes the next address that no payment has.
func derive(ctx context.Context, tx cutover.Tx, payment cutover.ID, chainID int64) (Destination, TrezorAccount, error) {
	account, err := ActiveTrezorAccount(ctx, tx)
	if fault.Is(err, fault.NotFound) {
		return Destination{}, account, fault.New(fault.Unavailable,
			"payments are not possible yet: an admin has to register the key of a wallet")
	}
	for err == nil {
		var dest Destination
		if dest, err = account.Derive(payment, chainID); err != nil {
			break
		}
		_, err = DestinationByAddress(ctx, tx, dest.Address)
		if fault.Is(err, fault.NotFound) {
			return dest, account, nil
		}
	}
	return Destination{}, account, err
}

// putQuote puts a quote for a payment in the place of the one with that meta,
// which is empty for a first one. A nil quote stays nil.
func putQuote(ctx context.Context, tx cutover.Tx, quote *Quote, meta cutover.Meta, payment cutover.ID) (*Quote, error) {
	if quote == nil {
		return nil, nil
	}
	q := *quote
	q.Meta, q.PaymentID = meta, payment
	return &q, tx.Put(ctx, &q)
}

// requote returns a live payment, and replaces its quote when it has expired
// and no money was seen. The price in the payment's own token is computed
// anew only for the same token: that is what the draft's quote is for.
func requote(ctx context.Context, tx cutover.Tx, p Payment, d draft, now time.Time) (View, error) {
	old, err := quoteOf(ctx, tx, p.ID)
	if err != nil {
		return View{}, err
	}
	if old == nil || d.quote == nil || p.Status != Pending || !old.Expired(now) || !sameToken(old, d.quote) {
		return view(ctx, tx, p)
	}
	fresh, err := putQuote(ctx, tx, d.quote, old.Meta, p.ID)
	if err != nil {
		return View{}, err
	}
	p.Amount, p.ExpectedUnits = d.payment.Amount, unitsPtr(fresh.OnChainUnits)
	p.WatchedAt = time.Time{} // the scanner is told the new amount
	return View{Payment: p, Checkout: checkout(&p, fresh)}, tx.Put(ctx, &p)
}

func sameToken(a, b *Quote) bool { return a.ChainID == b.ChainID && a.Token == b.Token }

// checkout returns nil for a payment that was not made to be paid by address.
func checkout(p *Payment, quote *Quote) *Checkout {
	b := p.Blockchain
	if b == nil || b.Destination == "" || p.ExpectedUnits == nil {
		return nil
	}
	network, _ := chain.NetworkOf(b.ChainID)
	token, ok := b.token(network)
	if !ok {
		return nil
	}
	return &Checkout{
		Destination: b.Destination, ChainID: b.ChainID, Network: b.Network, Token: token.Symbol,
		TokenAddress: token.Address, Decimals: token.Decimals, Amount: token.Amount(*p.ExpectedUnits),
		Units: *p.ExpectedUnits, Reference: b.PaymentReference, ExpiresAt: p.ExpiresAt, Quote: quote,
	}
}
