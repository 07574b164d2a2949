package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/web"
)

// public lists what may be called without a token, so that nothing becomes
// public by mistake.
var public = []string{
	"GET /api/health",
	"POST /api/auth/register", "POST /api/auth/verify-email-code", "POST /api/auth/resend-verification",
	"POST /api/auth/login", "POST /api/auth/refresh-token", "POST /api/auth/logout",
	"GET /api/marketplace/categories", "GET /api/marketplace/categories/tree", "GET /api/marketplace/categories/{id}",
	"POST /api/payment/amn-scanner/webhook", // signed
}

var roles = []user.Role{user.Buyer, user.Seller, user.Admin, user.Resolver}

// site is the whole API, in memory, with a member of each role.
type site struct {
	program *domain.Program
	api     *web.API
	tokens  map[user.Role]string
}

func openSite(t *testing.T) site {
	t.Helper()
	conf, err := config.Read([]string{"PG_URL=postgres://amanat@127.0.0.1:5432/amanat", "MAILBOX_DIR=" + t.TempDir(),
		"JWT_SECRET=" + strings.Repeat("j", 32), "CODE_SECRET=" + strings.Repeat("c", 32)}, config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	w := domain.World{Conf: conf, Log: slog.New(slog.DiscardHandler), DB: map[string]*cutover.Domain{}}
	for _, d := range domain.All {
		if w.DB[d.Name], err = cutover.Solo(cutover.Spec{Definition: d.Definition, Source: memdb.New(d.Name, d.Kinds)}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := domain.Open(w)
	if err != nil {
		t.Fatal(err)
	}
	api := web.New(web.Options{Authenticator: p.Users, Logger: w.Log, Health: func(context.Context) (any, bool) { return nil, true }})
	p.Routes(api)
	return site{p, api, memberTokens(t, p)}
}

func memberTokens(t *testing.T, p *domain.Program) map[user.Role]string {
	t.Helper()
	tokens := map[user.Role]string{}
	for _, role := range roles {
		email, password := string(role)+"@example.org", "a password of "+string(role)
		_, err := p.Users.Provision(t.Context(), user.NewAccount{Email: email, Password: password, FirstName: "F", LastName: "L", Role: role})
		if err != nil {
			t.Fatal(err)
		}
		session, err := p.Users.Login(t.Context(), user.Credentials{Email: email, Password: password}, "test")
		if err != nil {
			t.Fatal(err)
		}
		tokens[role] = session.Tokens.AccessToken
	}
	return tokens
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// call calls a route, with an empty body and somebody's id in its path.
func (s site) call(r web.Route, token string) *httptest.ResponseRecorder {
	path := parameter.ReplaceAllString(r.Path, cutover.NewID().String())
	req := httptest.NewRequest(r.Method, path, bytes.NewReader([]byte("{}")))
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res := httptest.NewRecorder()
	s.api.Handler().ServeHTTP(res, req)
	return res
}

func TestEveryRouteIsClosedToWhomItIsNotFor(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	open := slices.Clone(public)
	for _, r := range s.api.Routes() {
		name := r.Method + " " + r.Path
		if r.Who.IsPublic() {
			if !slices.Contains(public, name) {
				t.Errorf("%s is public and not on the list of those that may be", name)
			}
			open = slices.DeleteFunc(open, func(p string) bool { return p == name })
			continue
		}
		for _, token := range []string{"", "x", s.tokens[user.Admin] + "x"} {
			if res := s.call(r, token); res.Code != http.StatusUnauthorized {
				t.Errorf("%s without a valid token: %d, want 401", name, res.Code)
			}
		}
		for _, role := range roles {
			s.wantAccess(t, r, role)
		}
	}
	if len(open) > 0 {
		t.Errorf("not in the API: %v", open)
	}
}

func (s site) wantAccess(t *testing.T, r web.Route, role user.Role) {
	t.Helper()
	res := s.call(r, s.tokens[role])
	switch allowed := r.Who.Allows(string(role)); {
	case !allowed && res.Code != http.StatusForbidden:
		t.Errorf("%s %s by a %s: %d, want 403", r.Method, r.Path, role, res.Code)
	case allowed && (res.Code == http.StatusUnauthorized || strings.Contains(res.Body.String(), "this is for "+r.Who.String()+" only")):
		t.Errorf("%s %s by a %s: %d, want to be let in", r.Method, r.Path, role, res.Code)
	case res.Code >= 500:
		t.Errorf("%s %s by a %s: %d %s", r.Method, r.Path, role, res.Code, res.Body)
	}
}

func TestEveryRouteIsInTheOpenAPIDocumentWithWhoMayCallIt(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	res := httptest.NewRecorder()
	s.api.Handler().ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil))
	if res.Code != http.StatusOK {
		t.Fatalf("the document: %d", res.Code)
	}
	paths := s.api.OpenAPI().Paths
	for _, r := range s.api.Routes() {
		if paths[r.Path] == nil || r.Summary == "" || r.Tag == "" {
			t.Errorf("%s %s: want it in the document, with a summary and a tag", r.Method, r.Path)
		}
	}
	for _, d := range domain.All {
		if !slices.ContainsFunc(s.api.Routes(), func(r web.Route) bool { return r.Tag == d.Name }) {
			t.Errorf("no route is of the domain %s", d.Name)
		}
	}
}

func TestUnknownFieldIsRefusedByEveryRouteWithABody(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	for _, r := range s.api.Routes() {
		if !hasBody(s.api, r) || r.ID == "scanner-webhook" || !r.Who.Allows(string(user.Admin)) {
			continue // the webhook's signature covers the raw body
		}
		path := parameter.ReplaceAllString(r.Path, cutover.NewID().String())
		req := httptest.NewRequest(r.Method, path, strings.NewReader(`{"noSuchField":1}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+s.tokens[user.Admin])
		res := httptest.NewRecorder()
		s.api.Handler().ServeHTTP(res, req)
		if res.Code != http.StatusBadRequest || !strings.Contains(res.Body.String(), "noSuchField") {
			t.Errorf("%s %s: %d %s, want 400 that names the field", r.Method, r.Path, res.Code, res.Body)
		}
	}
}

func hasBody(api *web.API, r web.Route) bool {
	item := api.OpenAPI().Paths[r.Path]
	switch r.Method {
	case http.MethodPost:
		return item.Post.RequestBody != nil
	case http.MethodPut:
		return item.Put.RequestBody != nil
	case http.MethodPatch:
		return item.Patch.RequestBody != nil
	case http.MethodDelete:
		return item.Delete.RequestBody != nil
	}
	return false
}
