package domain

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/event"
)

var payments = Domain{
	Definition: payment.Definition, Sends: payment.Sends, New: newPayments,
	Handles: func(p *Program) []event.Handling {
		return []event.Handling{
			event.On(marketplace.EventCompleted, onRequest(p.Payments.HandleRequestCompleted)),
			event.On(marketplace.EventCancelled, onRequest(p.Payments.HandleRequestCancelled)),
		}
	},
	Keeps: func(p *Program) user.Dependents { return counted{"payments in escrow", p.Payments.HeldPayments} },
}

func newPayments(p *Program, db *cutover.Domain) (Service, error) {
	deps := payment.Deps{DB: db, Deals: deals{p}, Wallets: wallets{p}, FeeBps: int64(p.Conf.PlatformFeeBPS), Log: p.Log}
	err := withProviders(&deps, p.Conf)
	if err != nil {
		return nil, err
	}
	p.Payments, err = payment.New(deps)
	return p.Payments, err
}

// withProviders adds the prices and the scanner, where they are set.
func withProviders(deps *payment.Deps, conf config.Config) error {
	if conf.OracleQuoting {
		sources, err := payment.ParseSources(conf.OracleSources.Reveal(), nil)
		if err != nil {
			return err
		}
		deps.Quoter = &payment.Quoter{Sources: sources, Validity: conf.QuoteValidity.Duration()}
	}
	if conf.ScannerURL != "" {
		scanner, err := payment.NewHTTPScanner(string(conf.ScannerURL), conf.ScannerAPIKey.Reveal(), nil)
		if err != nil {
			return err
		}
		deps.Scanner = scanner
	}
	return nil
}

// onRequest tells payment of a request, of which it needs the subject alone.
func onRequest(handle event.Handler) func(context.Context, event.Event, marketplace.RequestNews) error {
	return func(ctx context.Context, e event.Event, _ marketplace.RequestNews) error { return handle(ctx, e) }
}

// deals answers payment's questions about the marketplace.
type deals struct{ p *Program }

func (a deals) Deal(ctx context.Context, requestID, offerID cutover.ID) (payment.Deal, error) {
	deal, err := a.p.Market.Deal(ctx, requestID, offerID)
	return payment.Deal{
		BuyerID: deal.BuyerID, SellerID: deal.SellerID,
		RequestStatus: deal.RequestStatus, OfferStatus: deal.OfferStatus,
		Price: deal.Price, Currency: deal.Currency,
	}, err
}

// wallets answers payment's questions about users.
type wallets struct{ p *Program }

func (a wallets) VerifiedWallet(ctx context.Context, userID cutover.ID) (address, chain string, err error) {
	address, chain, err = a.p.Users.VerifiedWallet(ctx, userID)
	if fault.Is(err, fault.Conflict) { // the user is there, the wallet is not
		err = fault.Wrap(err, fault.NotFound, "this user has no verified wallet")
	}
	return address, chain, err
}
