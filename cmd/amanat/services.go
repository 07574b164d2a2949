package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/mail"
	"github.com/amanat-dev/amanat/internal/web"
)

// services are the domains as the API sees them. What one must ask another
// goes through the adapters below, so none of them knows the others.
type services struct {
	users    *user.Service
	market   *marketplace.Service
	payments *payment.Service
	events   *event.Dispatcher
}

func newServices(a *app) (*services, error) {
	s := &services{}
	sender, err := newSender(a.conf)
	if err != nil {
		return nil, err
	}
	s.users, err = user.NewService(a.domains[user.Domain], user.Deps{
		Mail: sender, JWTSecret: []byte(a.conf.JWTSecret.Reveal()), CodeSecret: []byte(a.conf.CodeSecret.Reveal()),
		Dependents: []user.Dependents{openRequests{s}, heldPayments{s}}, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	s.market = marketplace.NewService(a.domains[marketplace.Domain], people{s.users}, escrow{s}, []byte(a.conf.CodeSecret.Reveal()), a.log)
	options, err := paymentOptions(a.conf, a.log)
	if err != nil {
		return nil, err
	}
	s.payments = payment.NewService(a.domains[payment.Domain], deals{s}, wallets{s}, options)
	s.events, err = s.newDispatcher(a)
	return s, err
}

// sends are the events of each domain that sends some.
var sends = map[string][]event.Sent{marketplace.Domain: marketplace.Sends, payment.Domain: payment.Sends}

// newDispatcher wires who handles which domain's events.
func (s *services) newDispatcher(a *app) (*event.Dispatcher, error) {
	o := event.Options{
		Sends: sends,
		Handlers: []event.Handling{
			event.On(payment.EventFunded, onMoney(s.market.HandlePaymentFunded)),
			event.On(payment.EventReleased, onMoney(s.market.HandlePaymentReleased)),
			event.On(payment.EventRefunded, onMoney(s.market.HandlePaymentRefunded)),
			event.On(marketplace.EventCompleted, onRequest(s.payments.HandleRequestCompleted)),
			event.On(marketplace.EventCancelled, onRequest(s.payments.HandleRequestCancelled)),
		},
		Leads: a.engine.Leads, Log: a.log,
	}
	for _, name := range a.engine.Domains() {
		o.Domains = append(o.Domains, a.domains[name])
	}
	return event.NewDispatcher(o)
}

// onMoney tells the marketplace of a payment in its own terms.
func onMoney(handle func(context.Context, event.Event, marketplace.Money) error) func(context.Context, event.Event, payment.Parties) error {
	return func(ctx context.Context, e event.Event, p payment.Parties) error {
		return handle(ctx, e, marketplace.Money{RequestID: p.PurchaseRequestID, OfferID: p.SellerOfferID})
	}
}

// onRequest tells payment of a request, of which it needs the subject alone.
func onRequest(handle event.Handler) func(context.Context, event.Event, marketplace.RequestNews) error {
	return func(ctx context.Context, e event.Event, _ marketplace.RequestNews) error { return handle(ctx, e) }
}

func newSender(conf config.Config) (mail.Sender, error) {
	if conf.SMTPURL.IsSet() {
		return mail.SMTP(conf.SMTPURL.Reveal())
	}
	return mail.Mailbox(conf.MailboxDir)
}

func paymentOptions(conf config.Config, log *slog.Logger) (payment.Options, error) {
	o := payment.Options{FeeBps: int64(conf.PlatformFeeBPS), Logger: log}
	if conf.OracleQuoting {
		sources, err := payment.ParseSources(conf.OracleSources.Reveal(), nil)
		if err != nil {
			return o, err
		}
		o.Quoter = &payment.Quoter{Sources: sources, Validity: conf.QuoteValidity.Duration()}
	}
	if conf.ScannerURL != "" {
		scanner, err := payment.NewHTTPScanner(string(conf.ScannerURL), conf.ScannerAPIKey.Reveal(), nil)
		if err != nil {
			return o, err
		}
		o.Scanner = scanner
	}
	return o, o.Check()
}

// routes registers the whole API.
func (s *services) routes(api *web.API) {
	s.users.Routes(api)
	s.market.Routes(api)
	s.payments.Routes(api)
}

// people answers the marketplace's questions about users.
type people struct{ *user.Service }

func (p people) Sellers(ctx context.Context, after cutover.ID, limit int) ([]marketplace.Seller, error) {
	profiles, err := p.Service.Sellers(ctx, after, limit)
	sellers := make([]marketplace.Seller, 0, len(profiles))
	for _, s := range profiles {
		sellers = append(sellers, marketplace.Seller{ID: s.ID, FirstName: s.FirstName, LastName: s.LastName, Avatar: s.Avatar,
			Bio: s.Bio, Website: s.Website, MemberSince: s.MemberSince})
	}
	return sellers, err
}

// deals answers payment's questions about the marketplace.
type deals struct{ s *services }

func (d deals) Deal(ctx context.Context, requestID, offerID cutover.ID) (payment.Deal, error) {
	deal, err := d.s.market.Deal(ctx, requestID, offerID)
	return payment.Deal{
		BuyerID: deal.BuyerID, SellerID: deal.SellerID,
		RequestStatus: deal.RequestStatus, OfferStatus: deal.OfferStatus,
		Price: deal.Price, Currency: deal.Currency,
	}, err
}

// wallets answers payment's questions about users.
type wallets struct{ s *services }

func (w wallets) VerifiedWallet(ctx context.Context, userID cutover.ID) (address, chain string, err error) {
	address, chain, err = w.s.users.VerifiedWallet(ctx, userID)
	if fault.Is(err, fault.Conflict) { // the user is there, the wallet is not
		err = fault.Wrap(err, fault.NotFound, "this user has no verified wallet")
	}
	return address, chain, err
}

// escrow answers the marketplace's questions about payments.
type escrow struct{ s *services }

func (e escrow) MoneyHeld(ctx context.Context, requestID cutover.ID) (bool, error) {
	return e.s.payments.MoneyHeld(ctx, requestID)
}

// openRequests tells the user domain what keeps an account from going.
type openRequests struct{ s *services }

func (o openRequests) Dependencies(ctx context.Context, userID cutover.ID) ([]user.Dependency, error) {
	n, err := o.s.market.OpenRequests(ctx, userID)
	return []user.Dependency{{Name: "open purchase requests", Count: n, Blocks: true}}, err
}

// heldPayments tells the user domain of money that is the account's.
type heldPayments struct{ s *services }

func (h heldPayments) Dependencies(ctx context.Context, userID cutover.ID) ([]user.Dependency, error) {
	n, err := h.s.payments.HeldPayments(ctx, userID)
	return []user.Dependency{{Name: "payments in escrow", Count: n, Blocks: true}}, err
}

const (
	expireEvery = 15 * time.Second
	watchEvery  = 10 * time.Second // payments that the scanner does not know of
	perRound    = 100              // payments
)

// jobs are what a serving process does besides answering. Each runs until its
// context ends, in every process, and does something in the one that leads: all
// of it may happen twice.
func (s *services) jobs(a *app) []func(context.Context) {
	return []func(context.Context){
		s.events.Run,
		a.repeat("expire offers", expireEvery, s.market.ExpireOffers),
		a.repeat("expire payments", expireEvery, func(ctx context.Context) (int, error) { return s.payments.ExpireStale(ctx, perRound) }),
		a.repeat("tell the scanner", watchEvery, func(ctx context.Context) (int, error) { return s.payments.RegisterPending(ctx, perRound) }),
	}
}

// repeat makes a job of what is to be done now and then.
func (a *app) repeat(name string, every time.Duration, do func(context.Context) (int, error)) func(context.Context) {
	return func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !a.engine.Leads() {
				continue
			}
			n, err := do(ctx)
			switch {
			case err != nil && ctx.Err() == nil:
				a.log.Warn("job failed", "job", name, "done", n, "error", err)
			case n > 0:
				a.log.Info("job", "job", name, "done", n)
			}
		}
	}
}
