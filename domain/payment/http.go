package payment

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/web"
)

var routes = web.Group{Tag: Domain, Root: "/api/payment"}

// Routes registers the domain's routes.
func (s *Service) Routes(api *web.API) {
	s.intentRoutes(api)
	s.readRoutes(api)
	s.payoutRoutes(api)
	s.holdRoutes(api)
	s.trezorRoutes(api)
}

// IDInput is exported because inputs embed it: huma fills no field of an embedded
// type that is not.
type IDInput struct {
	ID cutover.ID `path:"id" doc:"The payment"`
}

type intentInput struct{ Body Intent }

type webhookInput struct {
	Signature string `header:"X-AMN-Signature" doc:"Hex HMAC-SHA256 of the raw body with the payment's secret"`
	RawBody   []byte `contentType:"application/json"`
}

func (s *Service) intentRoutes(api *web.API) {
	const owner = "the request's buyer"
	intent := func(ctx context.Context, in *intentInput) (View, error) {
		return s.CreateIntent(ctx, web.PrincipalFrom(ctx), in.Body)
	}
	web.Handle(api, routes.Post("/request-network/intents", "create-payment-intent", "Pay for an accepted offer", web.SignedIn).Narrowed(owner), intent)
	web.Handle(api, routes.Post("/request-network/pay-in", "create-payment-pay-in", "Older name of intents", web.SignedIn).Narrowed(owner), intent)
	web.Handle(api, routes.Post("/amn-scanner/webhook", "scanner-webhook", "The scanner's signed callback about a transfer", web.Public),
		func(ctx context.Context, in *webhookInput) (Receipt, error) {
			return s.Deliver(ctx, in.RawBody, in.Signature)
		})
}

func (s *Service) readRoutes(api *web.API) {
	web.Handle(api, routes.Get("/{id}", "get-payment", "A payment with its checkout block", web.SignedIn).Narrowed("the payment's buyer or seller, or an admin"),
		func(ctx context.Context, in *IDInput) (View, error) {
			return s.Get(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Get("", "list-payments", "Payments, the newest first", web.SignedIn).Narrowed("own payments; all of them for an admin"),
		func(ctx context.Context, in *struct{ web.Paging }) (web.Page[Payment], error) {
			return web.List(in.Paging, func(p Payment) cutover.ID { return p.ID }, func(after cutover.ID, limit int) ([]Payment, error) {
				return s.List(ctx, web.PrincipalFrom(ctx), after, limit)
			})
		})
}

type payoutInput struct {
	IDInput
	Body *PayoutDraft
}

type confirmInput struct {
	IDInput
	Body PayoutProof
}

type adjustInput struct {
	IDInput
	Body Adjustment
}

func (s *Service) payoutRoutes(api *web.API) {
	payoutRoute(s, api, PayRelease, "Reserve the money for the seller")
	payoutRoute(s, api, PayRefund, "Reserve the money for the buyer")
	web.Handle(api, routes.Post("/{id}/adjustments", "adjust-payment", "Correct a payment's ledger: move money between its accounts", admins).Created(),
		func(ctx context.Context, in *adjustInput) (Entry, error) {
			return s.Adjust(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
}

func payoutRoute(s *Service, api *web.API, kind PayoutKind, summary string) {
	name := string(kind)
	web.Handle(api, routes.Post("/{id}/"+name, name+"-payment", summary, admins),
		func(ctx context.Context, in *payoutInput) (PayoutView, error) {
			if in.Body == nil {
				in.Body = &PayoutDraft{}
			}
			return s.Begin(ctx, web.PrincipalFrom(ctx), kind, in.ID, *in.Body)
		})
	web.Handle(api, routes.Post("/{id}/"+name+"/confirm", "confirm-"+name, "Book the "+name+" as done", admins),
		func(ctx context.Context, in *confirmInput) (PayoutView, error) {
			return s.Confirm(ctx, web.PrincipalFrom(ctx), kind, in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/{id}/"+name+"/cancel", "cancel-"+name, "Give up a "+name+" that was not carried out", admins),
		func(ctx context.Context, in *IDInput) (PayoutView, error) {
			return s.CancelPayout(ctx, web.PrincipalFrom(ctx), kind, in.ID)
		})
}

type openHoldInput struct {
	IDInput
	Body HoldDraft
}

type resolveHoldInput struct {
	IDInput
	HoldID cutover.ID `path:"holdId"`
}

func (s *Service) holdRoutes(api *web.API) {
	web.Handle(api, routes.Post("/{id}/holds", "open-hold", "Keep a payment's money where it is", judges).Created(),
		func(ctx context.Context, in *openHoldInput) (Hold, error) {
			return s.OpenHold(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/{id}/holds/{holdId}/resolve", "resolve-hold", "End a hold", judges),
		func(ctx context.Context, in *resolveHoldInput) (Hold, error) {
			return s.ResolveHold(ctx, web.PrincipalFrom(ctx), in.ID, in.HoldID)
		})
}

type trezorInput struct{ Body TrezorDraft }

func (s *Service) trezorRoutes(api *web.API) {
	web.Handle(api, routes.Post("/trezor/accounts", "register-trezor", "Register the wallet key that addresses are derived from", admins).Created(),
		func(ctx context.Context, in *trezorInput) (TrezorAccount, error) {
			return s.RegisterTrezor(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, routes.Get("/trezor/accounts", "list-trezor", "Registered wallet keys, the newest first", admins),
		func(ctx context.Context, _ *struct{}) (web.Page[TrezorAccount], error) {
			items, err := s.TrezorAccounts(ctx, web.PrincipalFrom(ctx))
			return web.Whole(items), err
		})
}
