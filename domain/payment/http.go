package payment

import (
	"context"
	"net/http"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Routes registers the domain's routes.
func (s *Service) Routes(api *web.API) {
	s.intentRoutes(api)
	s.readRoutes(api)
	s.payoutRoutes(api)
	s.holdRoutes(api)
	s.trezorRoutes(api)
}

func route(method, path, id, summary string, who web.Access) web.Route {
	return web.Route{Method: method, Path: "/api/payment" + path, ID: id, Summary: summary, Tag: "payment", Who: who}
}

// IDInput is exported because inputs embed it: huma fills no field of an embedded
// type that is not.
type IDInput struct {
	ID cutover.ID `path:"id" doc:"The payment"`
}

type intentInput struct {
	Body struct {
		PurchaseRequestID cutover.ID    `json:"purchaseRequestId"`
		SellerOfferID     cutover.ID    `json:"sellerOfferId"`
		ChainID           int64         `json:"chainId" doc:"EIP-155 chain id: 1, 56, 137, 8453 or 42161"`
		Token             string        `json:"token" minLength:"1" maxLength:"64" doc:"Symbol (USDC, USDT) or contract address"`
		Amount            *money.Amount `json:"amount,omitempty" doc:"Of the token. Must be the price; ignored while the server quotes"`
	}
}

type webhookInput struct {
	Signature string `header:"X-AMN-Signature" doc:"Hex HMAC-SHA256 of the raw body with the payment's secret"`
	RawBody   []byte `contentType:"application/json"`
}

func (s *Service) intentRoutes(api *web.API) {
	intent := func(ctx context.Context, in *intentInput) (View, error) {
		return s.CreateIntent(ctx, web.PrincipalFrom(ctx), Intent{
			PurchaseRequestID: in.Body.PurchaseRequestID, SellerOfferID: in.Body.SellerOfferID,
			ChainID: in.Body.ChainID, Token: in.Body.Token, Amount: in.Body.Amount,
		})
	}
	r := route(http.MethodPost, "/request-network/intents", "create-payment-intent", "Pay for an accepted offer", web.SignedIn)
	r.OwnersOnly = "the request's buyer"
	web.Handle(api, r, intent)
	r.Path, r.ID, r.Summary = "/api/payment/request-network/pay-in", "create-payment-pay-in", "Older name of intents"
	web.Handle(api, r, intent)
	web.Handle(api, route(http.MethodPost, "/amn-scanner/webhook", "scanner-webhook",
		"The scanner's signed callback about a transfer", web.Public),
		func(ctx context.Context, in *webhookInput) (Receipt, error) {
			return s.Deliver(ctx, in.RawBody, in.Signature)
		})
}

func (s *Service) readRoutes(api *web.API) {
	get := route(http.MethodGet, "/{id}", "get-payment", "A payment with its checkout block", web.SignedIn)
	get.OwnersOnly = "the payment's buyer or seller, or an admin"
	web.Handle(api, get, func(ctx context.Context, in *IDInput) (View, error) {
		return s.Get(ctx, web.PrincipalFrom(ctx), in.ID)
	})
	list := route(http.MethodGet, "", "list-payments", "Payments, the newest first", web.SignedIn)
	list.OwnersOnly = "own payments; all of them for an admin"
	web.Handle(api, list, func(ctx context.Context, in *struct{ web.Paging }) (web.Page[Payment], error) {
		after, err := in.After()
		if err != nil {
			return web.Page[Payment]{}, err
		}
		items, err := s.List(ctx, web.PrincipalFrom(ctx), after, in.Limit)
		return web.MakePage(items, in.Limit, func(p Payment) cutover.ID { return p.ID }), err
	})
}

type payoutInput struct {
	IDInput
	Body *struct {
		Amount *money.Amount `json:"amount,omitempty" doc:"Of the payment's token; all there is when left out"`
	}
}

type confirmInput struct {
	IDInput
	Body struct {
		TxHash string `json:"txHash" maxLength:"66" doc:"0x and 64 hex digits"`
	}
}

func (s *Service) payoutRoutes(api *web.API) {
	payoutRoute(s, api, PayRelease, "Reserve the money for the seller")
	payoutRoute(s, api, PayRefund, "Reserve the money for the buyer")
	adjust := route(http.MethodPost, "/{id}/adjustments", "adjust-payment", "Correct a payment's ledger: move money between its accounts", web.Roles(roleAdmin))
	adjust.Status = http.StatusCreated
	web.Handle(api, adjust, func(ctx context.Context, in *adjustInput) (Entry, error) {
		return s.Adjust(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
	})
}

type adjustInput struct {
	IDInput
	Body Adjustment
}

func payoutRoute(s *Service, api *web.API, kind PayoutKind, summary string) {
	admin, name := web.Roles(roleAdmin), string(kind)
	web.Handle(api, route(http.MethodPost, "/{id}/"+name, name+"-payment", summary, admin),
		func(ctx context.Context, in *payoutInput) (PayoutView, error) {
			var amount *money.Amount
			if in.Body != nil {
				amount = in.Body.Amount
			}
			return s.Begin(ctx, web.PrincipalFrom(ctx), kind, in.ID, amount)
		})
	web.Handle(api, route(http.MethodPost, "/{id}/"+name+"/confirm", "confirm-"+name, "Book the "+name+" as done", admin),
		func(ctx context.Context, in *confirmInput) (PayoutView, error) {
			return s.Confirm(ctx, web.PrincipalFrom(ctx), kind, in.ID, in.Body.TxHash)
		})
	web.Handle(api, route(http.MethodPost, "/{id}/"+name+"/cancel", "cancel-"+name, "Give up a "+name+" that was not carried out", admin),
		func(ctx context.Context, in *IDInput) (PayoutView, error) {
			return s.CancelPayout(ctx, web.PrincipalFrom(ctx), kind, in.ID)
		})
}

type openHoldInput struct {
	IDInput
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type resolveHoldInput struct {
	IDInput
	HoldID cutover.ID `path:"holdId"`
}

func (s *Service) holdRoutes(api *web.API) {
	judges := web.Roles(roleAdmin, roleResolver)
	open := route(http.MethodPost, "/{id}/holds", "open-hold", "Keep a payment's money where it is", judges)
	open.Status = http.StatusCreated
	web.Handle(api, open, func(ctx context.Context, in *openHoldInput) (Hold, error) {
		return s.OpenHold(ctx, web.PrincipalFrom(ctx), in.ID, in.Body.Reason)
	})
	web.Handle(api, route(http.MethodPost, "/{id}/holds/{holdId}/resolve", "resolve-hold", "End a hold", judges),
		func(ctx context.Context, in *resolveHoldInput) (Hold, error) {
			return s.ResolveHold(ctx, web.PrincipalFrom(ctx), in.ID, in.HoldID)
		})
}

type trezorInput struct {
	Body struct {
		XPub                string `json:"xpub" minLength:"1" maxLength:"200" doc:"Extended public key at m/44'/60'/0'"`
		RegistrationAddress string `json:"registrationAddress,omitempty" maxLength:"42" doc:"The wallet's first address, to be sure"`
		DeviceLabel         string `json:"deviceLabel,omitempty" maxLength:"100"`
	}
}

// trezorList has the shape of a page, though all fit on one.
type trezorList = web.Page[TrezorAccount]

func (s *Service) trezorRoutes(api *web.API) {
	admin := web.Roles(roleAdmin)
	register := route(http.MethodPost, "/trezor/accounts", "register-trezor", "Register the wallet key that addresses are derived from", admin)
	register.Status = http.StatusCreated
	web.Handle(api, register, func(ctx context.Context, in *trezorInput) (TrezorAccount, error) {
		return s.RegisterTrezor(ctx, web.PrincipalFrom(ctx), in.Body.XPub, in.Body.RegistrationAddress, in.Body.DeviceLabel)
	})
	web.Handle(api, route(http.MethodGet, "/trezor/accounts", "list-trezor", "Registered wallet keys, the newest first", admin),
		func(ctx context.Context, _ *struct{}) (trezorList, error) {
			items, err := s.TrezorAccounts(ctx, web.PrincipalFrom(ctx))
			return web.MakePage(items, len(items), func(a TrezorAccount) cutover.ID { return a.ID }), err
		})
}
