package payment_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/web"
	"github.com/amanat-dev/amanat/internal/web/webtest"
)

// tokens are principals by access token: the role, or "stranger".
type tokens map[string]web.Principal

func (k tokens) Authenticate(_ context.Context, bearer string) (web.Principal, error) {
	if p, ok := k[bearer]; ok {
		return p, nil
	}
	return web.Principal{}, fault.New(fault.Unauthenticated, "sign in first")
}

// api serves the bundle's routes.
func (b *bundle) api() *web.API {
	api := web.New(web.Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Authenticator: tokens{
			"buyer": b.buyer, "seller": b.seller, "stranger": b.stranger, "admin": b.admin, "resolver": b.arbiter,
		},
	})
	b.Routes(api)
	return api
}

// answer is what a route said.
type answer struct {
	status int
	data   map[string]any
	fields map[string]string
	text   string
}

func call(t *testing.T, h http.Handler, method, path, token, body string) answer {
	t.Helper()
	return answerOf(t, webtest.Call(h, method, path, token, body))
}

func answerOf(t *testing.T, rec *httptest.ResponseRecorder) answer {
	t.Helper()
	var got struct {
		Success bool
		Data    map[string]any
		Error   struct {
			Code   string
			Fields map[string]string
		}
	}
	text := rec.Body.String()
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Success != (rec.Code < 300) {
		t.Fatalf("status %d with a body that does not fit it: %s", rec.Code, text)
	}
	return answer{rec.Code, got.Data, got.Error.Fields, text}
}

func (a answer) want(t *testing.T, what string, status int, fields ...string) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: want %d, got %d: %s", what, status, a.status, a.text)
	}
	for _, f := range fields {
		if a.fields[f] == "" {
			t.Errorf("%s: want the field %s named, got %v", what, f, a.fields)
		}
	}
	return a
}

// post sends a callback to the webhook.
func post(t *testing.T, h http.Handler, raw, signature string) answer {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/api/payment/amn-scanner/webhook", strings.NewReader(raw))
	req.Header.Set("Content-Type", "application/json")
	if signature != "" {
		req.Header.Set("X-AMN-Signature", signature)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return answerOf(t, rec)
}

func (b *bundle) intentBody(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	in := map[string]any{"purchaseRequestId": b.request, "sellerOfferId": b.offer, "chainId": 56, "token": "USDT"}
	if change != nil {
		change(in)
	}
	return string(body(t, in))
}

const intents = "/api/payment/request-network/intents"

func TestWhoMayCallWhichRoute(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		api := b.api()
		public := webtest.CheckAccess(t, api.Handler(), api.Routes(), map[string]string{
			"buyer": "buyer", "seller": "seller", "admin": "admin", "resolver": "resolver",
		})
		if want := []string{"POST /api/payment/amn-scanner/webhook"}; !slices.Equal(public, want) {
			t.Errorf("public are %v, want %v", public, want)
		}
		for _, r := range api.Routes() {
			admins := strings.Contains(r.Path, "/release") || strings.Contains(r.Path, "/refund") || strings.Contains(r.Path, "/trezor") || strings.Contains(r.Path, "/adjustments")
			judges := strings.Contains(r.Path, "/holds")
			for role, allowed := range map[string]bool{
				"buyer": !admins && !judges, "seller": !admins && !judges, "resolver": !admins, "admin": true,
			} {
				if r.Who.Allows(role) != allowed {
					t.Errorf("%s %s: %s allowed is %v", r.Method, r.Path, role, !allowed)
				}
			}
		}
	})
}

func TestAPaymentOverHTTP(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h := b.api().Handler()
		made := call(t, h, "POST", intents, "buyer", b.intentBody(t, nil)).want(t, "an intent", 200)
		id, _ := made.data["id"].(string)
		checkout, _ := made.data["checkout"].(map[string]any)
		if checkout["units"] != allUnits || checkout["amount"] != "12.5" || made.data["status"] != "pending" {
			t.Fatalf("got %s", made.text)
		}
		again := call(t, h, "POST", "/api/payment/request-network/pay-in", "buyer", b.intentBody(t, nil)).want(t, "the older name", 200)
		if again.data["id"] != id {
			t.Errorf("the older name gave %v, want %s", again.data["id"], id)
		}

		v := must[payment.View](t)(b.Get(t.Context(), b.buyer, cutover.MustID(id)))
		raw := string(body(t, callback(v, nil)))
		secret := b.secret(t, v.ID)
		if strings.Contains(made.text, secret) || strings.Contains(made.text, "allbackSecret") || strings.Contains(made.text, "salt") {
			t.Error("the answer tells a secret")
		}
		post(t, h, raw, payment.Sign(secret, []byte(raw))).want(t, "the webhook", 200)
		if r := post(t, h, raw, payment.Sign(secret, []byte(raw))).want(t, "a repeat", 200); r.data["repeated"] != true {
			t.Errorf("got %s", r.text)
		}
		b.tell(t, b.HandleRequestCompleted, b.request)

		path := "/api/payment/" + id
		hold := call(t, h, "POST", path+"/holds", "resolver", `{"reason":"look at it"}`).want(t, "a hold", 201)
		call(t, h, "POST", path+"/release", "admin", `{}`).want(t, "a release under a hold", 409)
		call(t, h, "POST", path+"/holds/"+hold.data["id"].(string)+"/resolve", "resolver", "").want(t, "its end", 200)
		begun := call(t, h, "POST", path+"/release", "admin", "").want(t, "a release without a body", 200)
		if i, _ := begun.data["instruction"].(map[string]any); i["units"] != allUnits {
			t.Errorf("got %s", begun.text)
		}
		call(t, h, "POST", path+"/refund", "admin", `{}`).want(t, "a refund at the same time", 409)
		call(t, h, "POST", path+"/refund/confirm", "admin", `{"txHash":"`+hash(3)+`"}`).want(t, "the refund's confirmation", 409)
		call(t, h, "POST", path+"/release/confirm", "admin", `{"txHash":"`+hash(3)+`"}`).want(t, "the confirmation", 200)

		for _, who := range []string{"buyer", "seller", "admin"} {
			got := call(t, h, "GET", path, who, "").want(t, who, 200)
			if got.data["escrowState"] != "released" || strings.Contains(got.text, secret) {
				t.Errorf("%s got %s", who, got.text)
			}
			list := call(t, h, "GET", "/api/payment?limit=5", who, "").want(t, who+"'s list", 200)
			if items, _ := list.data["items"].([]any); len(items) != 1 || strings.Contains(list.text, secret) {
				t.Errorf("%s lists %s", who, list.text)
			}
		}
		call(t, h, "GET", path, "stranger", "").want(t, "a stranger", 404)
		b.wantSound(t)
	})
}

func TestTheListGoesPageByPage(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h, want := b.api().Handler(), []string{}
		for range 3 {
			want = append([]string{b.open(t).ID.String()}, want...)
			b.request, b.offer = b.deal(b.buyer, nil)
		}
		var got []string
		for path := "/api/payment?limit=2"; path != ""; {
			page := call(t, h, "GET", path, "buyer", "").want(t, "a page", 200)
			for _, item := range page.data["items"].([]any) {
				got = append(got, item.(map[string]any)["id"].(string))
			}
			next, _ := page.data["nextCursor"].(string)
			if path = ""; next != "" {
				path = "/api/payment?limit=2&cursor=" + next
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("want %v, got %v", want, got)
		}
		call(t, h, "GET", "/api/payment?cursor=x", "buyer", "").want(t, "a bad cursor", 400, "cursor")
		call(t, h, "GET", "/api/payment?limit=0", "buyer", "").want(t, "a bad limit", 400)
	})
}

func TestBadBodiesAreRefusedAndNothingIsWritten(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h := b.api().Handler()
		for field, bad := range map[string][]any{
			"purchaseRequestId": {"x", 7, nil}, "sellerOfferId": {"", nil}, "chainId": {"56", 5, 1.5, nil},
			"token": {"", 1, "DOGE", strings.Repeat("x", 65), nil}, "amount": {"x", "13", true}, "surprise": {1},
		} {
			for _, v := range bad {
				in := b.intentBody(t, func(m map[string]any) {
					if m[field] = v; v == nil {
						delete(m, field)
					}
				})
				call(t, h, "POST", intents, "buyer", in).want(t, in, 400, field)
			}
		}
		call(t, h, "POST", intents, "buyer", `{`).want(t, "no JSON", 400)
		call(t, h, "POST", intents, "stranger", b.intentBody(t, nil)).want(t, "a stranger's intent", 403)
		if n := len(b.all(t)); n != 0 {
			t.Errorf("%d payments were made", n)
		}

		p := b.releasable(t)
		path := "/api/payment/" + p.ID.String()
		b.unchanged(t, "bad bodies", p.ID, func() {
			call(t, h, "POST", path+"/release", "admin", `{"amount":"lots"}`).want(t, "a bad amount", 400, "amount")
			call(t, h, "POST", path+"/release", "admin", `{"amount":"0"}`).want(t, "no amount", 400, "amount")
			call(t, h, "POST", path+"/release", "admin", `{"to":"me"}`).want(t, "an unknown field", 400, "to")
			call(t, h, "POST", path+"/release/confirm", "admin", `{"txHash":"0x1"}`).want(t, "a bad hash", 400, "txHash")
			call(t, h, "POST", path+"/release/confirm", "admin", `{}`).want(t, "no hash", 400, "txHash")
			call(t, h, "POST", path+"/holds", "admin", `{}`).want(t, "no reason", 400, "reason")
			call(t, h, "POST", path+"/holds", "admin", `{"reason":"`+strings.Repeat("x", 501)+`"}`).want(t, "a long reason", 400, "reason")
			call(t, h, "GET", "/api/payment/xyz", "admin", "").want(t, "a bad id", 400)
			call(t, h, "POST", "/api/payment/00000000000000000000beef/release", "admin", `{}`).want(t, "an unknown payment", 404)
		})
	})
}

func TestTheWebhookTellsNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h, p := b.api().Handler(), b.open(t)
		raw := string(body(t, callback(p, nil)))
		secret := b.secret(t, p.ID)
		unknown := string(body(t, callback(p, func(c map[string]any) { c["paymentReference"] = "00" })))
		b.unchanged(t, "refused callbacks", p.ID, func() {
			var texts []string
			for name, c := range map[string][2]string{
				"no signature":       {raw, ""},
				"a wrong one":        {raw, payment.Sign("x", []byte(raw))},
				"an unknown payment": {unknown, payment.Sign(secret, []byte(unknown))},
				"no JSON":            {"hello", "00"},
			} {
				a := post(t, h, c[0], c[1]).want(t, name, 401)
				id := strings.Index(a.text, `"requestId"`)
				texts = append(texts, a.text[:max(id, 0)])
			}
			if slices.Sort(texts); texts[0] != texts[len(texts)-1] {
				t.Errorf("refusals differ: %q", texts)
			}
			post(t, h, "", "").want(t, "no body", 400)
			wrong := string(body(t, callback(p, func(c map[string]any) { c["chainId"] = 1 })))
			post(t, h, wrong, payment.Sign(secret, []byte(wrong))).want(t, "another chain", 400, "chainId")
			odd := string(body(t, callback(p, func(c map[string]any) { c["amount"] = 5 })))
			post(t, h, odd, payment.Sign(secret, []byte(odd))).want(t, "a number", 400, "amount")
		})
	})
}

func TestWalletKeysOverHTTP(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h := b.api().Handler()
		const path = "/api/payment/trezor/accounts"
		const xprv = "xprv9s21ZrQH143K3D8TXfvAJgHVfTEeQNW5Ys9wZtnUZkqPzFzSjbEJrWC1vZ4GnXCvR7rQL2UFX3RSuYeU9MrERm1XBvACow7c36vnz5iyYj2"
		refused := call(t, h, "POST", path, "admin", `{"xpub":"`+xprv+`"}`).want(t, "an xprv", 400, "xpub")
		if strings.Contains(refused.text, xprv) {
			t.Error("the answer repeats the private key")
		}
		call(t, h, "POST", path, "admin", `{"xpub":"`+xpub+`"}`).want(t, "the same key again", 409)
		call(t, h, "POST", path, "admin", `{}`).want(t, "no key", 400, "xpub")
		list := call(t, h, "GET", path, "admin", "").want(t, "the list", 200)
		if items, _ := list.data["items"].([]any); len(items) != 1 || strings.Contains(list.text, xpub) {
			t.Errorf("got %s", list.text)
		}
	})
}
