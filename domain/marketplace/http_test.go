package marketplace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/web"
	"github.com/amanat-dev/amanat/internal/web/webtest"
)

// site is a bundle behind its API.
type site struct {
	*bundle
	api     *web.API
	handler http.Handler
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{bundle: newBundle(cutover.Spec{Target: postgresSide(t)})}
	s.api = web.New(web.Options{Authenticator: tokens{}, Logger: silent})
	s.Routes(s.api)
	s.handler = s.api.Handler()
	return s
}

// tokens reads tokens such as "buyer.65f1c0ffee0123456789abcd".
type tokens struct{}

func (tokens) Authenticate(_ context.Context, bearer string) (web.Principal, error) {
	role, hex, _ := strings.Cut(bearer, ".")
	id, err := cutover.ParseID(hex)
	if err != nil {
		return web.Principal{}, fault.New(fault.Unauthenticated, "sign in first")
	}
	return web.Principal{UserID: id, Role: role}, nil
}

func token(m web.Principal) string {
	if m.UserID.IsZero() {
		return ""
	}
	return m.Role + "." + m.UserID.String()
}

var anonymous web.Principal

// ok calls a route and decodes the data of its answer.
func ok[T any](t *testing.T, s *site, as web.Principal, method, path, body string, status int) T {
	t.Helper()
	rec := webtest.Call(s.handler, method, "/api/marketplace"+path, token(as), body)
	var answer struct {
		Success bool
		Data    T
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != status || !answer.Success {
		t.Fatalf("%s %s: want %d with data, got %d: %s", method, path, status, rec.Code, rec.Body)
	}
	if strings.Contains(rec.Body.String(), "deliveryCodeHash") {
		t.Errorf("%s %s: the answer has the code's hash: %s", method, path, rec.Body)
	}
	return answer.Data
}

// refused calls a route that must refuse, name the field (unless it is ""),
// and write nothing.
func (s *site) refused(t *testing.T, as web.Principal, method, path, body string, status int, field string) {
	t.Helper()
	before := s.fingerprint(t)
	rec := webtest.Call(s.handler, method, "/api/marketplace"+path, token(as), body)
	var answer struct {
		Error struct{ Fields map[string]string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != status {
		t.Errorf("%s %s by %s with %s: want %d, got %d: %s", method, path, as.Role, body, status, rec.Code, rec.Body)
	}
	if field != "" && answer.Error.Fields[field] == "" {
		t.Errorf("%s %s with %s: want the field %s named, got %s", method, path, body, field, rec.Body)
	}
	if after := s.fingerprint(t); after != before {
		t.Errorf("%s %s with %s: want nothing written", method, path, body)
	}
}

// fingerprint changes with every write.
func (s *site) fingerprint(t *testing.T) string {
	t.Helper()
	return view(t, s.bundle, func(ctx context.Context, tx cutover.Tx) (string, error) {
		var all []string
		add := func(m cutover.Meta) { all = append(all, fmt.Sprint(m.ID, " ", m.Rev)) }
		categories, err := marketplace.Categories(ctx, tx)
		if err != nil {
			return "", err
		}
		for _, c := range categories {
			add(c.Meta)
		}
		events, err := cutover.Find[event.Event](ctx, tx, query.All().Limit(1000))
		if err != nil {
			return "", err
		}
		for _, e := range events {
			add(e.Meta)
		}
		err = cutover.Each(ctx, tx, func(r marketplace.PurchaseRequest) error { add(r.Meta); return nil })
		if err != nil {
			return "", err
		}
		err = cutover.Each(ctx, tx, func(o marketplace.SellerOffer) error { add(o.Meta); return nil })
		return strings.Join(all, ","), err
	})
}

type (
	requestAnswer = marketplace.PurchaseRequest
	offerAnswer   = marketplace.SellerOffer
	page[T any]   = web.Page[T]
)

func TestWhoMayCallARouteAtAll(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	roles := map[string]string{}
	for _, role := range []string{"buyer", "seller", "admin", "resolver"} {
		roles[role] = token(member(role))
	}
	public := webtest.CheckAccess(t, s.handler, slices.DeleteFunc(s.api.Routes(), func(r web.Route) bool { return r.Tag != marketplace.Domain }), roles)
	want := []string{"GET /api/marketplace/categories", "GET /api/marketplace/categories/tree", "GET /api/marketplace/categories/{id}"}
	if !slices.Equal(public, want) {
		t.Errorf("want only %v public, got %v", want, public)
	}
}

func TestCategoryRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	type answer struct {
		ID, ParentID string
		Name         string
		IsActive     bool
		Children     []struct{ ID string }
	}
	post := func(body string) answer { return ok[answer](t, s, s.admin, "POST", "/categories", body, 201) }
	clothes := post(`{"name":" Clothes ","nameEn":"Clothes","order":1}`)
	shoes := post(`{"name":"Shoes","parentId":"` + clothes.ID + `"}`)
	hidden := post(`{"name":"Hidden","isActive":false}`)
	if clothes.Name != "Clothes" || !clothes.IsActive || hidden.IsActive {
		t.Errorf("want trimmed and active unless said otherwise, got %+v, %+v", clothes, hidden)
	}

	s.refused(t, s.buyer, "POST", "/categories", `{"name":"A"}`, 403, "")
	s.refused(t, anonymous, "POST", "/categories", `{"name":"A"}`, 401, "")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"  "}`, 400, "name")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"A","colour":"red"}`, 400, "colour")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"A","parentId":"65f1c0ffee0123456789abcd"}`, 400, "parentId")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"A","parentId":"1"}`, 400, "parentId")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"CLOTHES"}`, 409, "name")
	s.refused(t, s.admin, "POST", "/categories", `{"name":"Other","nameEn":"Clothes"}`, 409, "nameEn")

	s.refused(t, s.seller, "PATCH", "/categories/"+shoes.ID, `{"name":"A"}`, 403, "")
	s.refused(t, s.admin, "PATCH", "/categories/"+clothes.ID, `{"parentId":"`+shoes.ID+`"}`, 400, "parentId")
	s.refused(t, s.admin, "PATCH", "/categories/"+clothes.ID, `{"parentId":"`+clothes.ID+`"}`, 400, "parentId")
	s.refused(t, s.admin, "PATCH", "/categories/65f1c0ffee0123456789abcd", `{"name":"A"}`, 404, "")
	s.refused(t, s.admin, "PATCH", "/categories/"+shoes.ID, `{"icon":"`+strings.Repeat("i", 501)+`"}`, 400, "icon")

	list := ok[page[answer]](t, s, anonymous, "GET", "/categories", "", 200)
	if len(list.Items) != 2 || list.Items[0].ID != shoes.ID || list.Items[1].ID != clothes.ID {
		t.Errorf("want shoes and clothes by order, got %+v", list.Items)
	}
	tree := ok[page[answer]](t, s, anonymous, "GET", "/categories/tree", "", 200)
	if len(tree.Items) != 1 || len(tree.Items[0].Children) != 1 || tree.Items[0].Children[0].ID != shoes.ID {
		t.Errorf("want shoes under clothes, got %+v", tree.Items)
	}
	moved := ok[answer](t, s, s.admin, "PATCH", "/categories/"+shoes.ID, `{"parentId":"000000000000000000000000","name":"Boots"}`, 200)
	if moved.ParentID != "" || moved.Name != "Boots" {
		t.Errorf("want boots at the root, got %+v", moved)
	}
	if got := ok[answer](t, s, anonymous, "GET", "/categories/"+hidden.ID, "", 200); got.Name != "Hidden" {
		t.Errorf("want the hidden one by its id, got %+v", got)
	}
	s.refused(t, anonymous, "GET", "/categories/65f1c0ffee0123456789abcd", "", 404, "")
	s.refused(t, anonymous, "GET", "/categories/nonsense", "", 400, "id")
}

const goodRequest = `{"title":"Shoes","description":"Blue","productType":"physical_product","budget":{"min":10,"max":"20.50","currency":"USD"},
	"deliveryInfo":{"address":"12 Garden Street"}%s}`

func requestBody(more string) string { return fmt.Sprintf(goodRequest, more) }

func TestPostingARequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := ok[requestAnswer](t, s, s.buyer, "POST", "/purchase-requests", requestBody(`,"quantity":2,"specifications":[{"key":"k","value":"v"}]`), 201)
	if r.BuyerID != s.buyer.UserID || r.Status != "pending" || r.Quantity != 2 || r.Urgency != "medium" ||
		r.Budget.Max.String() != "20.5" || r.DeliveryInfo.DeliveryType != "physical" || len(r.Specifications) != 1 {
		t.Errorf("want what was posted, got %+v", r)
	}
	ok[requestAnswer](t, s, s.seller, "POST", "/purchase-requests", requestBody(""), 201)

	s.refused(t, anonymous, "POST", "/purchase-requests", requestBody(""), 401, "")
	s.refused(t, s.admin, "POST", "/purchase-requests", requestBody(""), 403, "")
	s.people.missing = []cutover.ID{s.otherSeller.UserID}
	for field, more := range map[string]string{
		"status":                 `,"status":"completed"`,
		"buyerId":                `,"buyerId":"65f1c0ffee0123456789abcd"`,
		"quantity":               `,"quantity":0`,
		"color":                  `,"color":"` + strings.Repeat("c", 101) + `"`,
		"urgency":                `,"urgency":"now"`,
		"productLink":            `,"productLink":"ftp://a.example/b"`,
		"categoryId":             `,"categoryId":"65f1c0ffee0123456789abcd"`,
		"preferredSellerIds":     `,"preferredSellerIds":["` + s.otherSeller.UserID.String() + `"]`,
		"preferredSellerIds[0]":  `,"preferredSellerIds":["x"]`,
		"specifications[0].key":  `,"specifications":[{"key":"","value":"v"}]`,
		"specifications[0].more": `,"specifications":[{"key":"k","value":"v","more":1}]`,
	} {
		s.refused(t, s.buyer, "POST", "/purchase-requests", requestBody(more), 400, field)
	}
	s.refused(t, s.buyer, "POST", "/purchase-requests", `{"description":"Blue","productType":"service"}`, 400, "title")
	s.refused(t, s.buyer, "POST", "/purchase-requests", `{"title":"A","description":"B","productType":"service","budget":{"min":"9","max":"8","currency":"USD"}}`, 400, "budget.min")
	s.refused(t, s.buyer, "POST", "/purchase-requests", `{"title":"A","description":"B","productType":"service","budget":{"min":"1e3","max":"8","currency":"USD"}}`, 400, "budget.min")
	s.refused(t, s.buyer, "POST", "/purchase-requests", `{"title":"A","description":"B","productType":"service","deliveryInfo":{"deliveryCodeHash":"x"}}`, 400, "deliveryInfo.deliveryCodeHash")
	s.refused(t, s.buyer, "POST", "/purchase-requests", `not json`, 400, "")
}

func TestSeeingARequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	public := s.request(t)
	d := draft()
	d.PreferredSellerIDs = []cutover.ID{s.seller.UserID}
	private := must[requestAnswer](t)(s.CreateRequest(t.Context(), s.buyer, d))
	get := func(as web.Principal, id cutover.ID) requestAnswer {
		t.Helper()
		return ok[requestAnswer](t, s, as, "GET", "/purchase-requests/"+id.String(), "", 200)
	}
	for _, as := range []web.Principal{s.buyer, s.admin} {
		if got := get(as, private.ID); got.DeliveryInfo.Address == "" {
			t.Errorf("want the address for the %s, got %+v", as.Role, got.DeliveryInfo)
		}
	}
	for _, as := range []web.Principal{s.seller, s.otherSeller, s.otherBuyer} {
		if got := get(as, public.ID); got.DeliveryInfo.Address != "" || got.DeliveryInfo.DeliveryType != "physical" {
			t.Errorf("want no address for a %s, got %+v", as.Role, got.DeliveryInfo)
		}
	}
	get(s.seller, private.ID)
	s.refused(t, s.otherSeller, "GET", "/purchase-requests/"+private.ID.String(), "", 404, "")
	s.refused(t, s.otherBuyer, "GET", "/purchase-requests/"+private.ID.String(), "", 404, "")
	s.refused(t, anonymous, "GET", "/purchase-requests/"+public.ID.String(), "", 401, "")
	s.refused(t, s.buyer, "GET", "/purchase-requests/65f1c0ffee0123456789abcd", "", 404, "")
	s.refused(t, s.buyer, "GET", "/purchase-requests/x", "", 400, "id")

	chosen, _ := s.chosen(t)
	if got := get(s.seller, chosen.ID); got.DeliveryInfo.Address == "" {
		t.Errorf("want the address for the selected seller, got %+v", got.DeliveryInfo)
	}
	s.refused(t, s.otherSeller, "GET", "/purchase-requests/"+chosen.ID.String(), "", 404, "")
}

func TestListingRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	public := s.request(t)
	d := draft()
	d.PreferredSellerIDs = []cutover.ID{s.seller.UserID}
	private := must[requestAnswer](t)(s.CreateRequest(t.Context(), s.buyer, d))
	chosen, _ := s.chosen(t)
	want := func(as web.Principal, query string, ids ...cutover.ID) {
		t.Helper()
		got := ok[page[requestAnswer]](t, s, as, "GET", "/purchase-requests"+query, "", 200)
		var found []cutover.ID
		for _, r := range got.Items {
			found = append(found, r.ID)
			if as != s.buyer && as != s.admin && r.DeliveryInfo.Address != "" {
				t.Errorf("%s sees an address in the list", as.Role)
			}
		}
		if !slices.Equal(found, ids) {
			t.Errorf("%s %s: want %v, got %v", as.Role, query, ids, found)
		}
	}
	want(s.buyer, "", chosen.ID, private.ID, public.ID)
	want(s.admin, "", chosen.ID, private.ID, public.ID)
	want(s.seller, "", chosen.ID, private.ID, public.ID)
	want(s.seller, "?mine=true", chosen.ID)
	want(s.otherSeller, "", public.ID)
	want(s.otherBuyer, "?mine=true")
	want(s.admin, "?mine=true")
	want(s.buyer, "?status=payment", chosen.ID)
	want(s.buyer, "?categoryId=65f1c0ffee0123456789abcd")

	first := ok[page[requestAnswer]](t, s, s.buyer, "GET", "/purchase-requests?limit=2", "", 200)
	if len(first.Items) != 2 || first.NextCursor == "" {
		t.Fatalf("want a page of two and a cursor, got %d, %q", len(first.Items), first.NextCursor)
	}
	want(s.buyer, "?limit=2&cursor="+first.NextCursor, public.ID)
	s.refused(t, anonymous, "GET", "/purchase-requests", "", 401, "")
	s.refused(t, s.buyer, "GET", "/purchase-requests?status=paid", "", 400, "status")
	s.refused(t, s.buyer, "GET", "/purchase-requests?cursor=x", "", 400, "cursor")
	s.refused(t, s.buyer, "GET", "/purchase-requests?limit=101", "", 400, "limit")
	s.refused(t, s.buyer, "GET", "/purchase-requests?categoryId=x", "", 400, "categoryId")
}

// private returns a request that only the seller and its parties may see.
func (s *site) private(t *testing.T) requestAnswer {
	t.Helper()
	d := draft()
	d.PreferredSellerIDs = []cutover.ID{s.seller.UserID}
	return must[requestAnswer](t)(s.CreateRequest(t.Context(), s.buyer, d))
}

func TestChangingARequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, private := s.request(t), s.private(t)
	path := "/purchase-requests/" + r.ID.String()
	got := ok[requestAnswer](t, s, s.buyer, "PATCH", path, `{"title":"Boots","deliveryInfo":{"city":"Shiraz"}}`, 200)
	if got.Title != "Boots" || got.Description != r.Description || got.DeliveryInfo.City != "Shiraz" {
		t.Errorf("want title and city changed, got %+v", got)
	}
	ok[requestAnswer](t, s, s.admin, "PATCH", path, `{"urgency":"high"}`, 200)

	s.refused(t, anonymous, "PATCH", path, `{"title":"A"}`, 401, "")
	s.refused(t, s.otherBuyer, "PATCH", path, `{"title":"A"}`, 403, "")
	s.refused(t, s.seller, "PATCH", path, `{"title":"A"}`, 403, "")
	s.refused(t, s.otherSeller, "PATCH", "/purchase-requests/"+private.ID.String(), `{"title":"A"}`, 404, "")
	s.refused(t, s.buyer, "PATCH", path, `{"status":"completed"}`, 400, "status")
	s.refused(t, s.buyer, "PATCH", path, `{"title":"   "}`, 400, "title")
	s.refused(t, s.buyer, "PATCH", path, `{"productLink":"javascript:alert(1)"}`, 400, "productLink")
	s.refused(t, s.buyer, "PATCH", path, `{"categoryId":"65f1c0ffee0123456789abcd"}`, 400, "categoryId")
	s.refused(t, s.buyer, "PATCH", path, `{"quantity":"two"}`, 400, "quantity")
	s.people.missing = []cutover.ID{s.otherSeller.UserID}
	s.refused(t, s.buyer, "PATCH", path, `{"preferredSellerIds":["`+s.otherSeller.UserID.String()+`"]}`, 400, "preferredSellerIds")
	chosen, _ := s.chosen(t)
	s.refused(t, s.buyer, "PATCH", "/purchase-requests/"+chosen.ID.String(), `{"title":"A"}`, 409, "")
}

func TestCancellingARequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, private := s.request(t), s.private(t)
	path := "/purchase-requests/" + r.ID.String() + "/cancel"
	s.refused(t, anonymous, "POST", path, "", 401, "")
	s.refused(t, s.otherBuyer, "POST", path, "", 403, "")
	s.refused(t, s.seller, "POST", path, "", 403, "")
	s.refused(t, s.otherSeller, "POST", "/purchase-requests/"+private.ID.String()+"/cancel", "", 404, "")
	s.refused(t, s.buyer, "POST", "/purchase-requests/65f1c0ffee0123456789abcd/cancel", "", 404, "")
	if got := ok[requestAnswer](t, s, s.buyer, "POST", path, "", 200); got.Status != "cancelled" {
		t.Errorf("want cancelled, got %s", got.Status)
	}
	paid, _ := s.paid(t)
	s.refused(t, s.buyer, "POST", "/purchase-requests/"+paid.ID.String()+"/cancel", "", 409, "")
	s.refused(t, s.admin, "POST", "/purchase-requests/"+paid.ID.String()+"/cancel", "", 409, "")
}

const goodOffer = `{"description":"Boxed","price":{"amount":12.5,"currency":"USD"}%s}`

func offerBody(more string) string { return fmt.Sprintf(goodOffer, more) }

func TestMakingAnOffer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, private := s.request(t), s.private(t)
	path := "/purchase-requests/" + r.ID.String() + "/offers"
	for field, more := range map[string]string{
		"sellerId":           `,"sellerId":"65f1c0ffee0123456789abcd"`,
		"notes":              `,"notes":"` + strings.Repeat("n", 1001) + `"`,
		"deliveryTime.unit":  `,"deliveryTime":{"amount":1,"unit":"years"}`,
		"attachments[0]":     `,"attachments":["file:///etc/passwd"]`,
		"validUntil":         `,"validUntil":"2001-01-01T00:00:00Z"`,
		"requireAmlCheck":    `,"requireAmlCheck":"yes"`,
		"deliveryTime.hours": `,"deliveryTime":{"amount":1,"unit":"days","hours":1}`,
	} {
		s.refused(t, s.seller, "POST", path, offerBody(more), 400, field)
	}
	s.refused(t, s.seller, "POST", path, `{"description":"A","price":{"amount":"0","currency":"USD"}}`, 400, "price.amount")
	s.refused(t, s.seller, "POST", path, `{"description":"A","price":{"amount":"1","currency":"GBP"}}`, 400, "price.currency")
	s.refused(t, s.seller, "POST", path, `{"description":"A"}`, 400, "price")
	s.refused(t, anonymous, "POST", path, offerBody(""), 401, "")
	s.refused(t, s.otherBuyer, "POST", path, offerBody(""), 403, "")
	s.refused(t, s.otherSeller, "POST", "/purchase-requests/"+private.ID.String()+"/offers", offerBody(""), 404, "")
	own := must[requestAnswer](t)(s.CreateRequest(t.Context(), s.seller, draft()))
	s.refused(t, s.seller, "POST", "/purchase-requests/"+own.ID.String()+"/offers", offerBody(""), 403, "")

	o := ok[offerAnswer](t, s, s.seller, "POST", path, offerBody(`,"validUntil":"2099-01-01T00:00:00Z","deliveryTime":{"amount":2,"unit":"days"}`), 201)
	if o.SellerID != s.seller.UserID || o.PurchaseRequestID != r.ID || o.Status != "pending" || o.Price.Amount.String() != "12.5" {
		t.Errorf("want the seller's pending offer, got %+v", o)
	}
	wantStatus(t, s.stored(t, r.ID), marketplace.StatusReceivedOffers)
	s.refused(t, s.seller, "POST", path, offerBody(""), 409, "")
	ok[offerAnswer](t, s, s.seller, "POST", "/purchase-requests/"+private.ID.String()+"/offers", offerBody(""), 201)

	chosen, _ := s.chosen(t)
	s.refused(t, s.otherSeller, "POST", "/purchase-requests/"+chosen.ID.String()+"/offers", offerBody(""), 409, "")
}

func TestListingOffers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, private := s.request(t), s.private(t)
	a, b := s.offerBy(t, s.seller, r.ID), s.offerBy(t, s.otherSeller, r.ID)
	path := "/purchase-requests/" + r.ID.String() + "/offers"
	want := func(as web.Principal, query string, ids ...cutover.ID) page[offerAnswer] {
		t.Helper()
		got := ok[page[offerAnswer]](t, s, as, "GET", path+query, "", 200)
		var found []cutover.ID
		for _, o := range got.Items {
			found = append(found, o.ID)
		}
		if !slices.Equal(found, ids) {
			t.Errorf("%s: want %v, got %v", as.Role, ids, found)
		}
		return got
	}
	want(s.buyer, "", b.ID, a.ID)
	want(s.admin, "", b.ID, a.ID)
	want(s.seller, "", a.ID)
	want(s.otherBuyer, "")
	next := want(s.buyer, "?limit=1", b.ID).NextCursor
	want(s.buyer, "?limit=1&cursor="+next, a.ID)
	s.refused(t, anonymous, "GET", path, "", 401, "")
	s.refused(t, s.otherSeller, "GET", "/purchase-requests/"+private.ID.String()+"/offers", "", 404, "")
	s.refused(t, s.buyer, "GET", path+"?limit=0", "", 400, "limit")
}

func TestChangingAndWithdrawingAnOffer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.request(t)
	o := s.offerBy(t, s.seller, r.ID)
	path := "/offers/" + o.ID.String()
	got := ok[offerAnswer](t, s, s.seller, "PATCH", path, `{"price":{"amount":"11","currency":"EUR"},"notes":"soon"}`, 200)
	if got.Price.Amount.String() != "11" || got.Notes != "soon" || got.Description != o.Description {
		t.Errorf("want price and notes changed, got %+v", got)
	}
	for _, action := range []struct{ method, path, body string }{{"PATCH", path, `{"notes":"x"}`}, {"POST", path + "/withdraw", ""}} {
		s.refused(t, anonymous, action.method, action.path, action.body, 401, "")
		s.refused(t, s.buyer, action.method, action.path, action.body, 403, "")
		s.refused(t, s.otherSeller, action.method, action.path, action.body, 404, "")
	}
	s.refused(t, s.seller, "PATCH", path, `{"status":"accepted"}`, 400, "status")
	s.refused(t, s.seller, "PATCH", path, `{"price":{"amount":"-1","currency":"EUR"}}`, 400, "price.amount")
	s.refused(t, s.seller, "PATCH", "/offers/65f1c0ffee0123456789abcd", `{"notes":"x"}`, 404, "")

	if got := ok[offerAnswer](t, s, s.seller, "POST", path+"/withdraw", "", 200); got.Status != "withdrawn" {
		t.Errorf("want withdrawn, got %s", got.Status)
	}
	s.refused(t, s.seller, "POST", path+"/withdraw", "", 409, "")
	s.refused(t, s.seller, "PATCH", path, `{"notes":"x"}`, 409, "")
	_, accepted := s.chosen(t)
	s.refused(t, s.seller, "POST", "/offers/"+accepted.ID.String()+"/withdraw", "", 409, "")
}

func TestSelectingAnOffer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, private := s.request(t), s.private(t)
	o := s.offerBy(t, s.seller, r.ID)
	foreign := s.offerBy(t, s.seller, private.ID)
	path := "/purchase-requests/" + r.ID.String() + "/select-offer"
	body := `{"offerId":"` + o.ID.String() + `"}`
	s.refused(t, anonymous, "POST", path, body, 401, "")
	s.refused(t, s.otherBuyer, "POST", path, body, 403, "")
	s.refused(t, s.seller, "POST", path, body, 403, "")
	s.refused(t, s.admin, "POST", path, body, 403, "")
	s.refused(t, s.otherSeller, "POST", "/purchase-requests/"+private.ID.String()+"/select-offer", body, 404, "")
	s.refused(t, s.buyer, "POST", path, `{}`, 400, "offerId")
	s.refused(t, s.buyer, "POST", path, `{"offerId":"x"}`, 400, "offerId")
	s.refused(t, s.buyer, "POST", path, `{"offerId":"`+foreign.ID.String()+`"}`, 404, "")
	s.refused(t, s.buyer, "POST", path, `{"offerId":"`+o.ID.String()+`","offerRev":2}`, 409, "")
	got := ok[requestAnswer](t, s, s.buyer, "POST", path, body, 200)
	if got.Status != "payment" || got.SelectedOfferID != o.ID {
		t.Errorf("want payment with the offer selected, got %+v", got)
	}
	s.refused(t, s.buyer, "POST", path, body, 409, "")
}

func TestDeliveryRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, _ := s.paid(t)
	root := "/purchase-requests/" + r.ID.String()
	everyoneBut := func(may web.Principal, method, path, body string) {
		t.Helper()
		s.refused(t, anonymous, method, path, body, 401, "")
		for _, as := range []web.Principal{s.buyer, s.otherBuyer, s.seller, s.otherSeller, s.admin} {
			if as == may {
				continue
			}
			rec := webtest.Call(s.handler, method, "/api/marketplace"+path, token(as), body)
			if rec.Code != 403 && rec.Code != 404 {
				t.Errorf("%s %s by another %s: want 403 or 404, got %d", method, path, as.Role, rec.Code)
			}
		}
	}
	everyoneBut(s.seller, "PUT", root+"/delivery", `{}`)
	s.refused(t, s.otherSeller, "PUT", root+"/delivery", `{}`, 404, "")
	s.refused(t, s.seller, "PUT", root+"/delivery", `{"trackingNumber":"`+strings.Repeat("1", 101)+`"}`, 400, "trackingNumber")
	s.refused(t, s.seller, "PUT", root+"/delivery", `{"shippedAt":"2001-01-01T00:00:00Z"}`, 400, "shippedAt")
	s.refused(t, s.seller, "POST", root+"/delivery-code/verify", `{"code":"123456"}`, 409, "")
	s.refused(t, s.buyer, "POST", root+"/confirm-delivery", "", 409, "")
	got := ok[requestAnswer](t, s, s.seller, "PUT", root+"/delivery", `{"trackingNumber":"T1"}`, 200)
	if got.Status != "delivery" || got.DeliveryInfo.TrackingNumber != "T1" || got.DeliveryInfo.ShippedAt.IsZero() {
		t.Errorf("want it shipped as T1, got %+v", got)
	}

	everyoneBut(s.buyer, "POST", root+"/delivery-code/generate", "")
	code := ok[marketplace.DeliveryCode](t, s, s.buyer, "POST", root+"/delivery-code/generate", "", 200)
	everyoneBut(s.seller, "POST", root+"/delivery-code/verify", `{"code":"`+code.Code+`"}`)
	s.refused(t, s.seller, "POST", root+"/delivery-code/verify", `{"code":"12345"}`, 400, "code")
	s.refused(t, s.seller, "POST", root+"/delivery-code/verify", `{}`, 400, "code")
	if got := ok[requestAnswer](t, s, s.seller, "POST", root+"/delivery-code/verify", `{"code":"`+code.Code+`"}`, 200); got.Status != "delivered" {
		t.Errorf("want delivered, got %s", got.Status)
	}
	s.refused(t, s.seller, "POST", root+"/delivery-code/verify", `{"code":"`+code.Code+`"}`, 409, "")
	s.refused(t, s.buyer, "POST", root+"/delivery-code/generate", "", 409, "")

	everyoneBut(s.buyer, "POST", root+"/confirm-delivery", "")
	if got := ok[requestAnswer](t, s, s.buyer, "POST", root+"/confirm-delivery", "", 200); got.Status != "completed" {
		t.Errorf("want completed, got %s", got.Status)
	}
	s.refused(t, s.buyer, "POST", root+"/confirm-delivery", "", 409, "")
	s.wantSound(t)
}

func TestSellersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 3 {
		s.people.sellers = append([]marketplace.Seller{{ID: cutover.NewID(), FirstName: "Ann"}}, s.people.sellers...)
	}
	s.refused(t, anonymous, "GET", "/sellers", "", 401, "")
	first := ok[web.Page[marketplace.Seller]](t, s, s.buyer, "GET", "/sellers?limit=2", "", 200)
	rest := ok[web.Page[marketplace.Seller]](t, s, s.seller, "GET", "/sellers?limit=2&cursor="+first.NextCursor, "", 200)
	if got := append(first.Items, rest.Items...); !slices.Equal(got, s.people.sellers) || rest.NextCursor != "" {
		t.Errorf("got %+v, then %+v", first, rest)
	}
}
