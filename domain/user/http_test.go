package user_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/web"
	"github.com/amanat-dev/amanat/internal/web/webtest"
)

// client calls the routes of a bundle, and looks at every answer for secrets.
type client struct {
	*bundle
	api     *web.API
	handler http.Handler
}

func newClient(t *testing.T) *client {
	t.Helper()
	b := newBundle(t, sharedSpecs(t)["postgres"])
	api := web.New(web.Options{Authenticator: b.Service, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	b.Routes(api)
	return &client{b, api, api.Handler()}
}

// onBothByHTTP is onBoth for tests of routes.
func onBothByHTTP(t *testing.T, test func(t *testing.T, c *client)) {
	onBoth(t, func(t *testing.T, b *bundle) {
		api := web.New(web.Options{Authenticator: b.Service, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		b.Routes(api)
		test(t, &client{b, api, api.Handler()})
	})
}

// neverTold are field names and forms of what no answer may hold.
var neverTold = []string{"passwordHash", "argon2id", "codeHash", "refreshTokens\"", "loginAttempts", "lockedUntil", "walletChallenge", "passkeys", password}

func (c *client) call(t *testing.T, method, path, token, body string) *httptest.ResponseRecorder {
	t.Helper()
	rec := webtest.Call(c.handler, method, path, token, body)
	for _, secret := range neverTold {
		if strings.Contains(rec.Body.String(), secret) {
			t.Errorf("%s %s tells %q: %s", method, path, secret, rec.Body)
		}
	}
	for _, m := range c.post.letters {
		if code := codeForm.FindString(m.Text); code != "" && strings.Contains(rec.Body.String(), `"`+code+`"`) {
			t.Errorf("%s %s tells a code: %s", method, path, rec.Body)
		}
	}
	return rec
}

// want calls, expects that status, and decodes the data into a T.
func want[T any](t *testing.T, c *client, status int, method, path, token, body string) T {
	t.Helper()
	rec := c.call(t, method, path, token, body)
	var answer struct {
		Success bool
		Data    T
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != status || !answer.Success {
		t.Fatalf("%s %s: want %d, got %d: %s (%v)", method, path, status, rec.Code, rec.Body, err)
	}
	return answer.Data
}

// refused calls, and expects that status with those fields named.
func refused(t *testing.T, c *client, status int, method, path, token, body string, fields ...string) {
	t.Helper()
	rec := c.call(t, method, path, token, body)
	var answer struct {
		Success bool
		Error   web.ErrorBody
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != status || answer.Success || answer.Error.Code == "" {
		t.Fatalf("%s %s: want %d, got %d: %s (%v)", method, path, status, rec.Code, rec.Body, err)
	}
	for _, f := range fields {
		if answer.Error.Fields[f] == "" {
			t.Errorf("%s %s: want the field %q named, got %s", method, path, f, rec.Body)
		}
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	return string(must[[]byte](t)(json.Marshal(v)))
}

// signUp makes an account by its routes alone.
func (c *client) signUp(t *testing.T, role user.Role) user.Session {
	t.Helper()
	email := newEmail()
	r := registration(email)
	r.Role = role
	want[map[string]string](t, c, 202, "POST", "/api/auth/register", "", toJSON(t, r))
	return want[user.Session](t, c, 201, "POST", "/api/auth/verify-email-code", "",
		toJSON(t, map[string]string{"email": email, "code": c.post.code(t, email), "password": password}))
}

func (c *client) tokenOf(t *testing.T, role user.Role) string {
	t.Helper()
	a := account(newEmail(), role)
	must[user.User](t)(c.Provision(t.Context(), a))
	return must[user.Session](t)(c.Login(t.Context(), user.Credentials{Email: a.Email, Password: password}, agent)).Tokens.AccessToken
}

func TestEveryRouteSaysWhoMayCallAndHoldsToIt(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	tokens := map[string]string{}
	for _, role := range []user.Role{user.Buyer, user.Seller, user.Admin, user.Resolver} {
		tokens[string(role)] = c.tokenOf(t, role)
	}
	public := webtest.CheckAccess(t, c.handler, c.api.Routes(), tokens)
	meant := []string{"POST /api/auth/register", "POST /api/auth/resend-verification", "POST /api/auth/verify-email-code",
		"POST /api/auth/login", "POST /api/auth/refresh-token", "POST /api/auth/logout"}
	if !slices.Equal(public, meant) {
		t.Errorf("public routes: %v", public)
	}
	for _, r := range c.api.Routes() {
		if strings.HasPrefix(r.Path, "/api/admin/") != (r.Who.String() == "admin") {
			t.Errorf("%s %s is for: %s", r.Method, r.Path, r.Who)
		}
	}
}

func TestFromRegistrationToLogoutByHTTP(t *testing.T) {
	onBothByHTTP(t, func(t *testing.T, c *client) {
		s := c.signUp(t, user.Seller)
		me := want[user.User](t, c, 200, "GET", "/api/user/profile", s.Tokens.AccessToken, "")
		if me.ID != s.User.ID || me.Email == "" || me.ReferralCode == "" {
			t.Errorf("me: %+v", me)
		}
		changed := want[user.User](t, c, 200, "PUT", "/api/user/profile", s.Tokens.AccessToken,
			`{"firstName":"Bea","profile":{"bio":"hello","isPublic":true},"preferences":{"currency":"AED"}}`)
		if changed.FirstName != "Bea" || changed.LastName != "Lee" || changed.Profile.Bio != "hello" || changed.Preferences.Currency != "AED" {
			t.Errorf("changed: %+v", changed)
		}
		other := c.signUp(t, user.Buyer)
		seen := want[map[string]any](t, c, 200, "GET", "/api/users/profile/"+me.ID.String(), other.Tokens.AccessToken, "")
		if seen["firstName"] != "Bea" || seen["bio"] != "hello" || seen["email"] != nil {
			t.Errorf("seen by another: %v", seen)
		}
		session := want[user.Session](t, c, 200, "POST", "/api/auth/login", "", toJSON(t, map[string]string{"email": me.Email, "password": password}))
		next := want[struct{ Tokens user.Tokens }](t, c, 200, "POST", "/api/auth/refresh-token", "", toJSON(t, map[string]string{"refreshToken": session.Tokens.RefreshToken}))
		out := toJSON(t, map[string]string{"refreshToken": next.Tokens.RefreshToken})
		want[web.Empty](t, c, 200, "POST", "/api/auth/logout", "", out)
		refused(t, c, 401, "POST", "/api/auth/refresh-token", "", out)
		want[map[string]string](t, c, 202, "POST", "/api/auth/resend-verification", "", toJSON(t, map[string]string{"email": me.Email}))
	})
}

func TestBadInputIsRefusedByHTTP(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	token, admin, id := c.signUp(t, user.Buyer).Tokens.AccessToken, c.tokenOf(t, user.Admin), cutover.NewID().String()
	long := strings.Repeat("x", 300)
	for _, r := range []struct{ method, path, token, body, field string }{
		{"POST", "/api/auth/register", "", `{"email":"ann","firstName":"A","lastName":"L","role":"buyer"}`, "email"},
		{"POST", "/api/auth/register", "", `{"email":"a@b.c","firstName":"A","lastName":"L","role":"admin"}`, "role"},
		{"POST", "/api/auth/register", "", `{"email":"a@b.c","firstName":"A","lastName":"L","role":"buyer","status":"active"}`, "status"},
		{"POST", "/api/auth/register", "", `{"email":"a@b.c","firstName":"` + long + `","lastName":"L","role":"buyer"}`, "firstName"},
		{"POST", "/api/auth/register", "", `{"firstName":"A","lastName":"L","role":"buyer"}`, "email"},
		{"POST", "/api/auth/verify-email-code", "", `{"email":"a@b.c","code":"12345","password":"` + password + `"}`, "code"},
		{"POST", "/api/auth/verify-email-code", "", `{"email":"a@b.c","code":"123456","password":"short"}`, "password"},
		{"POST", "/api/auth/login", "", `{"email":"a@b.c","password":7}`, "password"},
		{"POST", "/api/auth/login", "", `{"email":"a@b.c"}`, "password"},
		{"POST", "/api/auth/refresh-token", "", `{}`, "refreshToken"},
		{"PUT", "/api/user/profile", token, `{"role":"admin"}`, "role"},
		{"PUT", "/api/user/profile", token, `{"wallet":{"address":"0x"}}`, "wallet"},
		{"PUT", "/api/user/profile", token, `{"preferences":{"language":"xx"}}`, "preferences.language"},
		{"PUT", "/api/user/profile", token, `{"profile":{"website":"javascript:alert(1)"}}`, "profile.website"},
		{"GET", "/api/users/profile/nonsense", token, "", "id"},
		{"POST", "/api/user/wallet/challenge", token, `{"address":"0x12","chain":"bsc"}`, "address"},
		{"POST", "/api/user/wallet/challenge", token, `{"address":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed","chain":"BSC!"}`, "chain"},
		{"POST", "/api/user/wallet/verify", token, `{"signature":"0x12"}`, "signature"},
		{"POST", "/api/addresses", token, `{"fullName":"A","street":"","city":"C","country":"I"}`, "street"},
		{"POST", "/api/addresses", token, `{"fullName":"A","street":"S","city":"C","country":"I","userId":"` + id + `"}`, "userId"},
		{"PUT", "/api/addresses/nonsense", token, `{"fullName":"A","street":"S","city":"C","country":"I"}`, "id"},
		{"POST", "/api/admin/users", admin, `{"email":"a@b.c","password":"short","firstName":"A","lastName":"L","role":"buyer"}`, "password"},
		{"GET", "/api/admin/users?role=king", admin, "", "role"},
		{"GET", "/api/admin/users?limit=0", admin, "", "limit"},
		{"GET", "/api/admin/users?cursor=x", admin, "", "cursor"},
		{"PATCH", "/api/admin/users/" + id + "/status", admin, `{"status":"deleted"}`, "status"},
		{"PATCH", "/api/admin/users/" + id + "/role", admin, `{"role":"king"}`, "role"},
	} {
		refused(t, c, 400, r.method, r.path, r.token, r.body, r.field)
	}
}

func TestFailuresLockByHTTP(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	email := c.signUp(t, user.Buyer).User.Email
	wrong := toJSON(t, map[string]string{"email": email, "password": "wrong horse"})
	for range 5 {
		refused(t, c, 401, "POST", "/api/auth/login", "", wrong)
	}
	rec := c.call(t, "POST", "/api/auth/login", "", toJSON(t, map[string]string{"email": email, "password": password}))
	if rec.Code != 423 || rec.Header().Get("Retry-After") != "900" {
		t.Errorf("want 423 with Retry-After 900, got %d %q", rec.Code, rec.Header().Get("Retry-After"))
	}
}

func TestAddressesByHTTP(t *testing.T) {
	onBothByHTTP(t, func(t *testing.T, c *client) {
		mine, other := c.signUp(t, user.Buyer).Tokens.AccessToken, c.signUp(t, user.Buyer).Tokens.AccessToken
		body := toJSON(t, addressInput())
		first := want[user.Address](t, c, 201, "POST", "/api/addresses", mine, body)
		second := want[user.Address](t, c, 201, "POST", "/api/addresses", mine, toJSON(t, primaryInput(true)))
		if !first.IsPrimary || !second.IsPrimary {
			t.Errorf("first %+v, second %+v", first, second)
		}
		list := want[web.Page[user.Address]](t, c, 200, "GET", "/api/addresses", mine, "")
		if len(list.Items) != 2 || list.Items[0].IsPrimary || !list.Items[1].IsPrimary || list.NextCursor != "" {
			t.Errorf("list: %+v", list)
		}
		path := "/api/addresses/" + first.ID.String()
		want[user.Address](t, c, 200, "GET", path, mine, "")
		want[user.Address](t, c, 200, "PUT", path, mine, body)
		refused(t, c, 404, "GET", path, other, "")
		refused(t, c, 404, "PUT", path, other, body)
		refused(t, c, 404, "DELETE", path, other, "")
		want[web.Empty](t, c, 200, "DELETE", path, mine, "")
		refused(t, c, 404, "GET", path, mine, "")
		refused(t, c, 400, "PUT", "/api/addresses/"+second.ID.String(), mine, toJSON(t, primaryInput(false)), "isPrimary")
	})
}

func TestWalletByHTTP(t *testing.T) {
	onBothByHTTP(t, func(t *testing.T, c *client) {
		token, p := c.signUp(t, user.Seller).Tokens.AccessToken, newPurse(t)
		challenge := want[user.WalletChallenge](t, c, 200, "POST", "/api/user/wallet/challenge", token,
			toJSON(t, map[string]string{"address": p.address(), "chain": "bsc"}))
		want[user.Wallet](t, c, 200, "POST", "/api/user/wallet/verify", token, toJSON(t, map[string]string{"signature": p.sign(challenge.Message)}))
		refused(t, c, 409, "POST", "/api/user/wallet/verify", token, toJSON(t, map[string]string{"signature": p.sign(challenge.Message)}))
		if me := want[user.User](t, c, 200, "GET", "/api/user/profile", token, ""); me.Wallet == nil || me.Wallet.VerifiedAt.IsZero() {
			t.Errorf("wallet: %+v", me.Wallet)
		}
	})
}

func TestAdministrationByHTTP(t *testing.T) {
	onBothByHTTP(t, func(t *testing.T, c *client) {
		admin, email := c.tokenOf(t, user.Admin), newEmail()
		made := want[user.User](t, c, 201, "POST", "/api/admin/users", admin, toJSON(t, account(email, user.Buyer)))
		refused(t, c, 409, "POST", "/api/admin/users", admin, toJSON(t, account(email, user.Buyer)))
		page := want[web.Page[user.User]](t, c, 200, "GET", "/api/admin/users?role=buyer&limit=1", admin, "")
		if len(page.Items) != 1 {
			t.Errorf("page: %d", len(page.Items))
		}
		page = want[web.Page[user.User]](t, c, 200, "GET", "/api/admin/users?email="+email, admin, "")
		if len(page.Items) != 1 || page.Items[0].ID != made.ID || page.NextCursor != "" {
			t.Errorf("by address: %+v", page)
		}
		path := "/api/admin/users/" + made.ID.String()
		want[user.User](t, c, 200, "PATCH", path+"/status", admin, `{"status":"suspended"}`)
		refused(t, c, 403, "POST", "/api/auth/login", "", toJSON(t, map[string]string{"email": email, "password": password}))
		want[user.User](t, c, 200, "PATCH", path+"/status", admin, `{"status":"active"}`)
		want[user.User](t, c, 200, "PATCH", path+"/role", admin, `{"role":"resolver"}`)
		deps := want[user.Dependencies](t, c, 200, "GET", path+"/dependencies", admin, "")
		if !deps.CanDelete || deps.Items == nil {
			t.Errorf("dependencies: %+v", deps)
		}
		want[web.Empty](t, c, 200, "DELETE", path, admin, "")
		refused(t, c, 409, "DELETE", path, admin, "")
		refused(t, c, 404, "GET", "/api/admin/users/"+cutover.NewID().String()+"/dependencies", admin, "")
	})
}
