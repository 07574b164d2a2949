package marketplace

import (
	"context"
	"net/http"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/web"
)

const root = "/api/marketplace"

// Routes registers the marketplace's part of the API.
func (s *Service) Routes(api *web.API) {
	s.categoryRoutes(api)
	s.requestRoutes(api)
	s.offerRoutes(api)
	s.deliveryRoutes(api)
	s.sellerRoutes(api)
}

func route(method, path, id, summary string, who web.Access) web.Route {
	return web.Route{Method: method, Path: root + path, ID: id, Summary: summary, Tag: Domain, Who: who}
}

func created(r web.Route) web.Route {
	r.Status = http.StatusCreated
	return r
}

func narrowed(r web.Route, owners string) web.Route {
	r.OwnersOnly = owners
	return r
}

var (
	admins  = web.Roles(RoleAdmin)
	sellers = web.Roles(RoleSeller)
	traders = web.Roles(RoleBuyer, RoleSeller)
)

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
	web.Handle(api, route("GET", "/categories", "list-categories", "Active categories", web.Public),
		func(ctx context.Context, _ *struct{}) (web.Page[Category], error) {
			items, err := s.Categories(ctx)
			return web.Page[Category]{Items: items}, err
		})
	web.Handle(api, route("GET", "/categories/tree", "category-tree", "Active categories as a tree", web.Public),
		func(ctx context.Context, _ *struct{}) (web.Page[CategoryNode], error) {
			items, err := s.CategoryTree(ctx)
			return web.Page[CategoryNode]{Items: items}, err
		})
	web.Handle(api, route("GET", "/categories/{id}", "get-category", "One category", web.Public),
		func(ctx context.Context, in *byID) (Category, error) { return s.Category(ctx, in.ID) })
	web.Handle(api, created(route("POST", "/categories", "create-category", "Add a category", admins)),
		func(ctx context.Context, in *struct{ Body CategoryDraft }) (Category, error) {
			return s.CreateCategory(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, route("PATCH", "/categories/{id}", "update-category", "Change a category", admins),
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
	web.Handle(api, created(route("POST", "/purchase-requests", "create-purchase-request", "Post a purchase request", traders)),
		func(ctx context.Context, in *struct{ Body RequestDraft }) (PurchaseRequest, error) {
			return s.CreateRequest(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, route("GET", "/purchase-requests", "list-purchase-requests", "Own and public purchase requests, the newest first", web.SignedIn),
		func(ctx context.Context, in *listRequests) (web.Page[PurchaseRequest], error) {
			return s.requestPage(ctx, in)
		})
	web.Handle(api, narrowed(route("GET", "/purchase-requests/{id}", "get-purchase-request", "One purchase request", web.SignedIn),
		"whoever may see it"),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.Request(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, narrowed(route("PATCH", "/purchase-requests/{id}", "update-purchase-request", "Change a purchase request", web.SignedIn), ownersBuyerOrUs),
		func(ctx context.Context, in *withBody[RequestPatch]) (PurchaseRequest, error) {
			return s.UpdateRequest(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, narrowed(route("POST", "/purchase-requests/{id}/cancel", "cancel-purchase-request", "Cancel before money is held", web.SignedIn), ownersBuyerOrUs),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.CancelRequest(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) requestPage(ctx context.Context, in *listRequests) (web.Page[PurchaseRequest], error) {
	after, err := in.After()
	if err != nil {
		return web.Page[PurchaseRequest]{}, err
	}
	list := RequestList{Mine: in.Mine, Status: in.Status, CategoryID: in.CategoryID}
	items, err := s.Requests(ctx, web.PrincipalFrom(ctx), list, after, in.Limit+1)
	return web.MakePage(items, in.Limit, func(r PurchaseRequest) cutover.ID { return r.ID }), err
}

// listOffers is the input of the list of a request's offers.
type listOffers struct {
	ID cutover.ID `path:"id"`
	web.Paging
}

func (s *Service) offerRoutes(api *web.API) {
	web.Handle(api, created(route("POST", "/purchase-requests/{id}/offers", "create-offer", "Make an offer", sellers)),
		func(ctx context.Context, in *withBody[OfferDraft]) (SellerOffer, error) {
			return s.CreateOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, narrowed(route("GET", "/purchase-requests/{id}/offers", "list-offers", "Offers on a request, the newest first", web.SignedIn),
		"all to the buyer and admins, to sellers their own"),
		func(ctx context.Context, in *listOffers) (web.Page[SellerOffer], error) { return s.offerPage(ctx, in) })
	web.Handle(api, narrowed(route("PATCH", "/offers/{id}", "update-offer", "Change a pending offer", sellers), "the offer's seller"),
		func(ctx context.Context, in *withBody[OfferPatch]) (SellerOffer, error) {
			return s.UpdateOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, narrowed(route("POST", "/offers/{id}/withdraw", "withdraw-offer", "Take a pending offer back", sellers), "the offer's seller"),
		func(ctx context.Context, in *byID) (SellerOffer, error) {
			return s.WithdrawOffer(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, narrowed(route("POST", "/purchase-requests/{id}/select-offer", "select-offer", "Accept an offer and reject the others", web.SignedIn), ownersBuyer),
		func(ctx context.Context, in *withBody[Selection]) (PurchaseRequest, error) {
			return s.SelectOffer(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
}

func (s *Service) offerPage(ctx context.Context, in *listOffers) (web.Page[SellerOffer], error) {
	after, err := in.After()
	if err != nil {
		return web.Page[SellerOffer]{}, err
	}
	items, err := s.Offers(ctx, web.PrincipalFrom(ctx), in.ID, after, in.Limit+1)
	return web.MakePage(items, in.Limit, func(o SellerOffer) cutover.ID { return o.ID }), err
}

// codeBody is the body with which a seller hands in a delivery code.
type codeBody struct {
	Code string `json:"code" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
}

func (s *Service) deliveryRoutes(api *web.API) {
	web.Handle(api, narrowed(route("PUT", "/purchase-requests/{id}/delivery", "ship-purchase-request", "Mark as shipped", sellers), ownersSelected),
		func(ctx context.Context, in *withBody[Shipment]) (PurchaseRequest, error) {
			return s.Ship(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, narrowed(route("POST", "/purchase-requests/{id}/delivery-code/generate", "generate-delivery-code", "Make a delivery code, shown once", web.SignedIn), ownersBuyer),
		func(ctx context.Context, in *byID) (DeliveryCode, error) {
			return s.GenerateCode(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, narrowed(route("POST", "/purchase-requests/{id}/delivery-code/verify", "verify-delivery-code", "Prove the delivery with the buyer's code", sellers), ownersSelected),
		func(ctx context.Context, in *withBody[codeBody]) (PurchaseRequest, error) {
			return s.VerifyCode(ctx, web.PrincipalFrom(ctx), in.ID, in.Body.Code)
		})
	web.Handle(api, narrowed(route("POST", "/purchase-requests/{id}/confirm-delivery", "confirm-delivery", "Confirm the delivery", web.SignedIn), ownersBuyer),
		func(ctx context.Context, in *byID) (PurchaseRequest, error) {
			return s.ConfirmDelivery(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) sellerRoutes(api *web.API) {
	web.Handle(api, route("GET", "/sellers", "list-sellers", "Active sellers, the newest first", web.SignedIn),
		func(ctx context.Context, in *struct{ web.Paging }) (web.Page[Seller], error) {
			after, err := in.After()
			if err != nil {
				return web.Page[Seller]{}, err
			}
			items, err := s.people.Sellers(ctx, after, in.Limit+1)
			return web.MakePage(items, in.Limit, func(s Seller) cutover.ID { return s.ID }), err
		})
}
