package history

import (
	"context"
	"fmt"
	"net/http"

	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// session is somebody who has signed in. Clients share it: what they contend
// for is one person's.
type session struct{ id, token string }

// stage makes what is contended for, before anybody contends. After the first
// error it does nothing.
type stage struct {
	ctx    context.Context
	server string
	err    error
}

// each is how many records there are of each kind.
const each = 2

// build returns the records by kind.
func (s *stage) build(admin traffic.Credentials) map[string][]subject {
	judge := s.signIn(admin)
	buyer, seller := s.member(judge, "buyer"), s.member(judge, "seller")
	second := s.member(judge, "resolver")
	out := map[string][]subject{"user": {profile(buyer), profile(seller)}}
	for i := range each {
		id := s.request(buyer, i)
		offer := s.offer(seller, id)
		out["seller_offer"] = append(out["seller_offer"], &document{
			name: "seller_offer/" + offer, id: offer, fields: [2]string{"title", "notes"}, token: seller.token,
			read:   "/api/marketplace/purchase-requests/" + id + "/offers",
			method: http.MethodPatch, write: "/api/marketplace/offers/" + offer,
		})
		out["purchase_request"] = append(out["purchase_request"], &document{
			name: "purchase_request/" + id, id: id, fields: [2]string{"title", "description"}, token: buyer.token,
			read:   "/api/marketplace/purchase-requests/" + id,
			method: http.MethodPatch, write: "/api/marketplace/purchase-requests/" + id,
		})
	}
	for _, id := range s.funded(judge) {
		out["payment"] = append(out["payment"], &escrow{payment: id, judges: []session{judge, second}, holds: map[string]string{}})
	}
	return out
}

func profile(of session) *document {
	return &document{name: "user/" + of.id, id: of.id, fields: [2]string{"profile.bio", "profile.phone"}, token: of.token,
		read: "/api/user/profile", method: http.MethodPut, write: "/api/user/profile"}
}

// do sends a request that must be done.
func (s *stage) do(q request) object {
	var answer object
	if s.err != nil {
		return answer
	}
	if f, text := ask(s.ctx, s.server, q, &answer); f != done {
		s.err = fmt.Errorf("%s %s: %s", q.method, q.path, text)
	}
	return answer
}

func (s *stage) signIn(c traffic.Credentials) session {
	answer := s.do(request{method: http.MethodPost, path: "/api/auth/login", body: map[string]any{"email": c.Email, "password": c.Password}})
	return session{answer.text("user.id"), answer.text("tokens.accessToken")}
}

// member makes an account and signs in.
func (s *stage) member(admin session, role string) session {
	c := traffic.Credentials{Email: role + "@history.example", Password: "History-1-" + role}
	s.do(request{http.MethodPost, "/api/admin/users", admin.token, map[string]any{
		"email": c.Email, "password": c.Password, "firstName": "Hana", "lastName": "History", "role": role}})
	return s.signIn(c)
}

// request posts a purchase request, and returns its ID.
func (s *stage) request(buyer session, i int) string {
	return s.do(request{http.MethodPost, "/api/marketplace/purchase-requests", buyer.token, map[string]any{
		"title": fmt.Sprintf("Contended %d", i), "description": "Everybody writes this.", "productType": "service"}}).text("id")
}

// offer makes an offer on a purchase request, and returns its ID.
func (s *stage) offer(seller session, on string) string {
	return s.do(request{http.MethodPost, "/api/marketplace/purchase-requests/" + on + "/offers", seller.token, map[string]any{
		"title": "Contended", "description": "In stock.", "price": map[string]any{"amount": "12.50", "currency": "USDT"}}}).text("id")
}

// funded returns the IDs of payments whose money is held, and which nobody else
// moves.
func (s *stage) funded(admin session) (ids []string) {
	page := s.do(request{method: http.MethodGet, path: "/api/payment?limit=100", token: admin.token})
	items, _ := page["items"].([]any)
	for _, item := range items {
		if o := object(item.(map[string]any)); o.text("escrowState") == "funded" && len(ids) < each {
			ids = append(ids, o.text("id"))
		}
	}
	if s.err == nil && len(ids) < each {
		s.err = fmt.Errorf("of %d payments %d are funded, want %d", len(items), len(ids), each)
	}
	return ids
}
