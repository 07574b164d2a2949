package marketplace

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/web"
)

var routes = web.Group{Tag: Domain, Root: "/api/marketplace"}

// Routes registers the marketplace's part of the API.
func (s *Service) Routes(api *web.API) {
	s.categoryRoutes(api)
	s.requestRoutes(api)
	s.offerRoutes(api)
	s.deliveryRoutes(api)
	s.sellerRoutes(api)
}

// byID is the input of a route about one record.
type byID struct {
	ID cutover.ID `path:"id"`
}

// withBody is byID with a body.
type withBody[T any] struct {
	ID   cutover.ID `path:"id"`
	Body T
}

func (s *Service) categoryRoutes(api *web.API) {
	web.Handle(api, routes.Get("/categories", "list-categories", "Active categories", web.Public),
		func(ctx context.Context, _ *struct{}) (web.Page[Category], error) {
			items, err := s.Categories(ctx)
			return web.Whole(items), err
		})
	web.Handle(api, routes.Get("/categories/tree", "category-tree", "Active categories as a tree", web.Public),
		func(ctx context.Context, _ *struct{}) (web.Page[CategoryNode], error) {
			items, err := s.CategoryTree(ctx)
			return web.Whole(items), err
		})
	web.Handle(api, routes.Get("/categories/{id}", "get-category", "One category", web.Public),
		func(ctx context.Context, in *byID) (Category, error) { return s.Category(ctx, in.ID) })
	web.Handle(api, routes.Post("/categories", "create-category", "Add a category", admins).Created(),
		func(ctx context.Context, in *struct{ Body CategoryDraft }) (Category, error) {
			return s.CreateCategory(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, routes.Patch("/categories/{id}", "update-category", "Change a category", admins),
		func(ctx context.Context, in *withBody[CategoryPatch]) (Category, error) {
			return s.UpdateCategory(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
}

// listRequests is the input of the list of requests.
type listRequests struct {
	web.Paging
	Status     RequestStatus `query:"status" enum:"pending_payment,pending,active,received_offers,payment,processing,delivery,delivered,completed,seller_paid,cancelled"`
	CategoryID cutover.ID    `query:"categoryId"`
	Mine       bool          `query:"mine" doc:"Only those of which the caller is the buyer or the selected seller"`
}

const (
	ownersBuyer     = "the request's buyer"
	ownersBuyerOrUs = "the request's buyer, or an admin"
	ownersSelected  = "the selected seller"
)

func (s *Service) requestRoutes(api *web.API) {
	web.Handle(api, routes.Post("/purchase-requests", "create-purchase-request", "Post a purchase request", traders).Created(),
		func(ctx context.Context, in *struct{ Body RequestDraft }) (PurchaseRequest, error) {
			return s.CreateRequest(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, routes.Get("/purchase-requests", "list-purchase-requests", "Own and public purchase requests, the newest first", web.SignedIn),
		func(ctx context.Context, in *listRequests) (web.Page[PurchaseRequest], error) {
			return s.requestPage(ctx, in)
		})
	web.Handle(api, routes.Get("/purchase-requests/{id}", "get-purchase-request", "One purchase request", web.SignedIn).Narrowed("whoever may see it"),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.Request(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Patch("/purchase-requests/{id}", "update-purchase-request", "Change a purchase request", web.SignedIn).Narrowed(ownersBuyerOrUs),
		func(ctx context.Context, in *withBody[RequestPatch]) (PurchaseRequest, error) {
			return s.UpdateRequest(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/purchase-requests/{id}/cancel", "cancel-purchase-request", "Cancel before money is held", web.SignedIn).Narrowed(ownersBuyerOrUs),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.CancelRequest(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) requestPage(ctx context.Context, in *listRequests) (web.Page[PurchaseRequest], error) {
	list := RequestList{Mine: in.Mine, Status: in.Status, CategoryID: in.CategoryID}
	return web.List(in.Paging, func(r PurchaseRequest) cutover.ID { return r.ID }, func(after cutover.ID, limit int) ([]PurchaseRequest, error) {
		return s.Requests(ctx, web.PrincipalFrom(ctx), list, after, limit)
	})
}

// listOffers is the input of the list of a request's offers.
type listOffers struct {
	ID cutover.ID `path:"id"`
	web.Paging
}

func (s *Service) offerRoutes(api *web.API) {
	web.Handle(api, routes.Post("/purchase-requests/{id}/offers", "create-offer", "Make an offer", sellers).Created(),
		func(ctx context.Context, in *withBody[OfferDraft]) (SellerOffer, error) {
			return s.CreateOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Get("/purchase-requests/{id}/offers", "list-offers", "Offers on a request, the newest first", web.SignedIn).Narrowed("all to the buyer and admins, to sellers their own"),
		func(ctx context.Context, in *listOffers) (web.Page[SellerOffer], error) { return s.offerPage(ctx, in) })
	web.Handle(api, routes.Patch("/offers/{id}", "update-offer", "Change a pending offer", sellers).Narrowed("the offer's seller"),
		func(ctx context.Context, in *withBody[OfferPatch]) (SellerOffer, error) {
			return s.UpdateOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/offers/{id}/withdraw", "withdraw-offer", "Take a pending offer back", sellers).Narrowed("the offer's seller"),
		func(ctx context.Context, in *byID) (SellerOffer, error) {
			return s.WithdrawOffer(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Post("/purchase-requests/{id}/select-offer", "select-offer", "Accept an offer and reject the others", web.SignedIn).Narrowed(ownersBuyer),
		func(ctx context.Context, in *withBody[Selection]) (PurchaseRequest, error) {
			return s.SelectOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
}

func (s *Service) offerPage(ctx context.Context, in *listOffers) (web.Page[SellerOffer], error) {
	return web.List(in.Paging, func(o SellerOffer) cutover.ID { return o.ID }, func(after cutover.ID, limit int) ([]SellerOffer, error) {
		return s.Offers(ctx, web.PrincipalFrom(ctx), in.ID, after, limit)
	})
}

func (s *Service) deliveryRoutes(api *web.API) {
	web.Handle(api, routes.Put("/purchase-requests/{id}/delivery", "ship-purchase-request", "Mark as shipped", sellers).Narrowed(ownersSelected),
		func(ctx context.Context, in *withBody[Shipment]) (PurchaseRequest, error) {
			return s.Ship(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/purchase-requests/{id}/delivery-code/generate", "generate-delivery-code", "Make a delivery code, shown once", web.SignedIn).Narrowed(ownersBuyer),
		func(ctx context.Context, in *byID) (DeliveryCode, error) {
			return s.GenerateCode(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Post("/purchase-requests/{id}/delivery-code/verify", "verify-delivery-code", "Prove the delivery with the buyer's code", sellers).Narrowed(ownersSelected),
		func(ctx context.Context, in *withBody[CodeProof]) (PurchaseRequest, error) {
			return s.VerifyCode(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Post("/purchase-requests/{id}/confirm-delivery", "confirm-delivery", "Confirm the delivery", web.SignedIn).Narrowed(ownersBuyer),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.ConfirmDelivery(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) sellerRoutes(api *web.API) {
	web.Handle(api, routes.Get("/sellers", "list-sellers", "Active sellers, the newest first", web.SignedIn),
		func(ctx context.Context, in *struct{ web.Paging }) (web.Page[Seller], error) {
			return web.List(in.Paging, func(one Seller) cutover.ID { return one.ID }, func(after cutover.ID, limit int) ([]Seller, error) {
				return s.deps.People.Sellers(ctx, after, limit)
			})
		})
}
