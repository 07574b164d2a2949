package domain

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/event"
)

var market = Domain{
	Definition: marketplace.Definition, Sends: marketplace.Sends, New: newMarket,
	Handles: func(p *Program) []event.Handling {
		return []event.Handling{
			event.On(payment.EventFunded, onMoney(p.Market.HandlePaymentFunded)),
			event.On(payment.EventReleased, onMoney(p.Market.HandlePaymentReleased)),
			event.On(payment.EventRefunded, onMoney(p.Market.HandlePaymentRefunded)),
		}
	},
	Keeps: func(p *Program) user.Dependents { return counted{"open purchase requests", p.Market.OpenRequests} },
}

func newMarket(p *Program, db *cutover.Domain) (_ Service, err error) {
	p.Market, err = marketplace.New(marketplace.Deps{
		DB: db, People: people{p}, Escrow: escrow{p}, CodeSecret: []byte(p.Conf.CodeSecret.Reveal()), Log: p.Log,
	})
	return p.Market, err
}

// onMoney tells the marketplace of a payment in its own terms.
func onMoney(handle func(context.Context, event.Event, marketplace.Money) error) func(context.Context, event.Event, payment.Parties) error {
	return func(ctx context.Context, e event.Event, p payment.Parties) error {
		return handle(ctx, e, marketplace.Money{RequestID: p.PurchaseRequestID, OfferID: p.SellerOfferID})
	}
}

// people answers the marketplace's questions about users.
type people struct{ p *Program }

func (a people) MissingSellers(ctx context.Context, ids []cutover.ID) ([]cutover.ID, error) {
	return a.p.Users.MissingSellers(ctx, ids)
}

func (a people) Sellers(ctx context.Context, after cutover.ID, limit int) ([]marketplace.Seller, error) {
	profiles, err := a.p.Users.Sellers(ctx, after, limit)
	sellers := make([]marketplace.Seller, 0, len(profiles))
	for _, s := range profiles {
		sellers = append(sellers, marketplace.Seller{ID: s.ID, FirstName: s.FirstName, LastName: s.LastName, Avatar: s.Avatar,
			Bio: s.Bio, Website: s.Website, MemberSince: s.MemberSince})
	}
	return sellers, err
}

// escrow answers the marketplace's questions about payments.
type escrow struct{ p *Program }

func (a escrow) MoneyHeld(ctx context.Context, requestID cutover.ID) (bool, error) {
	return a.p.Payments.MoneyHeld(ctx, requestID)
}
