package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// noText are characters that no text may have, wherever it travels.
var noText = []string{"\x00", "\a", "\r", "\x1b", "\x7f", "\u0085", "\u2028", "\u202a", "\u202e", "\u2066", "\u2069"}

// TestNoRouteTakesWhatIsNoText goes through all routes, and all texts that one
// can send with them, as the API's own document has them.
func TestNoRouteTakesWhatIsNoText(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	texts := 0
	for _, r := range s.api.Routes() {
		c := caller{site: s, route: r, op: operationOf(s.api, r)}
		for _, p := range c.op.Parameters {
			if p.In != "header" && p.Schema.Type == huma.TypeString {
				texts++
				c.spoilParameter(t, p)
			}
		}
		schema := c.bodySchema()
		if schema == nil {
			continue
		}
		for _, f := range c.textsOf("", schema, func(v any) any { return v }) {
			texts++
			c.spoil(t, f)
		}
	}
	if texts < 100 {
		t.Errorf("%d texts were tried, want all that there are", texts)
	}
}

// caller calls one route.
type caller struct {
	site
	route web.Route
	op    *huma.Operation
}

func operationOf(api *web.API, r web.Route) *huma.Operation {
	item := api.OpenAPI().Paths[r.Path]
	return map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}[r.Method]
}

// bodySchema is nil for a route without a body, and for the scanner's: what is
// signed as a whole is read by hand, and held against what is known.
func (c caller) bodySchema() *huma.Schema {
	if c.op.RequestBody == nil {
		return nil
	}
	if s := c.resolve(c.op.RequestBody.Content["application/json"].Schema); s.Type == huma.TypeObject {
		return s
	}
	return nil
}

func (c caller) resolve(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return c.api.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// sent is one text of a body: its field, and the body with something in its
// place.
type sent struct {
	field string
	lines bool
	good  string
	with  func(text any) any
}

// textsOf finds the texts of a value; within puts a value into the whole body.
func (c caller) textsOf(at string, s *huma.Schema, within func(any) any) (all []sent) {
	s = c.resolve(s)
	switch {
	case s.Type == huma.TypeString || len(s.AnyOf) > 0:
		return []sent{{at, s.Format == "lines", c.sample(s).(string), within}}
	case s.Type == huma.TypeArray:
		return c.textsOf(at+"[0]", s.Items, func(v any) any { return within([]any{v}) })
	}
	for name, property := range s.Properties {
		all = append(all, c.textsOf(strings.TrimPrefix(at+"."+name, "."), property, func(v any) any {
			whole := c.sample(s).(map[string]any)
			whole[name] = v
			return within(whole)
		})...)
	}
	return all
}

// samples have one for each pattern of the API.
var samples = []string{"text", "123456", "bsc", "0x" + strings.Repeat("1", 40), "0x" + strings.Repeat("1", 64), strings.Repeat("1", 130), strings.Repeat("1", 24)}

// sample makes a value that the schema allows.
func (c caller) sample(s *huma.Schema) any {
	s = c.resolve(s)
	switch {
	case len(s.AnyOf) > 0:
		return "1"
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return 1
	case s.Type == huma.TypeBoolean:
		return true
	case s.Type == huma.TypeArray:
		return []any{c.sample(s.Items)}
	case s.Type == huma.TypeObject:
		whole := map[string]any{}
		for name, property := range s.Properties {
			whole[name] = c.sample(property)
		}
		return whole
	}
	return sampleText(s)
}

func sampleText(s *huma.Schema) string {
	switch s.Format {
	case "email":
		return "ann@example.org"
	case "link":
		return "https://example.org"
	case "date-time":
		return "2100-01-02T03:04:05Z"
	}
	for _, text := range samples {
		if ok, err := regexp.MatchString(s.Pattern, text); err != nil || !ok {
			continue
		}
		if s.MinLength != nil && utf8.RuneCountInString(text) < *s.MinLength {
			text = strings.Repeat("text", *s.MinLength)
		}
		return text
	}
	return "no sample of " + s.Pattern
}

// call calls the route as one who may.
func (c caller) call(path, query string, body any) answer {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	req := httptest.NewRequest(c.route.Method, path+query, bytes.NewReader(raw))
	req.Header.Set("Content-Type", "application/json")
	for _, role := range roles {
		if c.route.Who.Allows(string(role)) && !c.route.Who.IsPublic() {
			req.Header.Set("Authorization", "Bearer "+c.tokens[role])
		}
	}
	rec := httptest.NewRecorder()
	c.api.Handler().ServeHTTP(rec, req)
	var got answer
	got.status = rec.Code
	_ = json.Unmarshal(rec.Body.Bytes(), &got) // nothing that is no JSON names a field
	return got
}

type answer struct {
	status int
	Error  struct {
		Message string
		Fields  map[string]string
	}
}

func (c caller) path() string {
	return parameter.ReplaceAllString(c.route.Path, cutover.NewID().String())
}

func (c caller) spoil(t *testing.T, f sent) {
	t.Helper()
	bad := slices.Clone(noText)
	if !f.lines {
		bad = append(bad, "\n", "\t")
	}
	for _, b := range bad {
		got := c.call(c.path(), "", f.with(f.good[:1]+b+f.good[1:]))
		if got.status != 400 || got.Error.Fields[f.field] == "" {
			t.Errorf("%s %s: %s with %q: %d %v, want 400 that names it", c.route.Method, c.route.Path, f.field, b, got.status, got.Error)
		}
	}
	if !f.lines {
		return
	}
	if got := c.call(c.path(), "", f.with(f.good[:1]+"\n\t"+f.good[1:])); got.Error.Fields[f.field] != "" {
		t.Errorf("%s %s: %s may have lines: %v", c.route.Method, c.route.Path, f.field, got.Error)
	}
}

func (c caller) spoilParameter(t *testing.T, p *huma.Param) {
	t.Helper()
	for _, b := range append(slices.Clone(noText), "\n", "\t") {
		path, query := c.path(), ""
		if p.In == "path" {
			path = parameter.ReplaceAllString(strings.Replace(c.route.Path, "{"+p.Name+"}", "a"+url.PathEscape(b), 1), cutover.NewID().String())
		} else {
			query = "?" + p.Name + "=a" + url.QueryEscape(b)
		}
		var body any = map[string]any{}
		if s := c.bodySchema(); s != nil {
			body = c.sample(s)
		}
		if got := c.call(path, query, body); got.status != 400 || got.Error.Fields[p.Name] == "" {
			t.Errorf("%s %s: %s with %q: %d %v, want 400 that names it", c.route.Method, c.route.Path, p.Name, b, got.status, got.Error)
		}
	}
}

// TestAServiceRefusesWhatItsRoutesRefuse: the limits are one statement, whoever
// calls.
func TestAServiceRefusesWhatItsRoutesRefuse(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	as := func(role string) web.Principal { return web.Principal{UserID: cutover.NewID(), Role: role} }
	admin, seller, id := as(web.RoleAdmin), as(web.RoleSeller), cutover.NewID()
	long := strings.Repeat("é", 2001)
	minus := money.MustAmount("-1")
	cases := map[string]struct {
		body any
		call func(ctx context.Context) error
	}{}
	add := func(route string, body any, call func(ctx context.Context) error) {
		cases[route+" "+strconv.Itoa(len(cases))] = struct {
			body any
			call func(ctx context.Context) error
		}{body, call}
	}
	address := user.AddressInput{Label: long, FullName: "a\u202eb", Street: " ", City: "", Country: "x"}
	add("add-address", address, func(ctx context.Context) error {
		_, err := s.program.Users.AddAddress(ctx, seller, address)
		return err
	})
	account := user.NewAccount{Email: "nobody", Password: "short", FirstName: "", LastName: long, Role: "king"}
	add("create-user", account, func(ctx context.Context) error { _, err := s.program.Users.CreateUser(ctx, admin, account); return err })
	login := user.Credentials{Email: long, Password: long}
	add("login", login, func(ctx context.Context) error { _, err := s.program.Users.Login(ctx, login, ""); return err })
	draft := marketplace.RequestDraft{Title: long, Description: "", ProductType: "weapon", Quantity: -1, Urgency: "now", ProductLink: "javascript:x",
		Specifications: []marketplace.Specification{{Key: "", Value: "x"}}, DeliveryInfo: &marketplace.DeliveryDetails{Phone: long}}
	add("create-purchase-request", draft, func(ctx context.Context) error {
		_, err := s.program.Market.CreateRequest(ctx, seller, draft)
		return err
	})
	offer := marketplace.OfferDraft{Description: "a\x00", Price: marketplace.Price{Amount: minus, Currency: "GBP"}, DeliveryTime: &marketplace.DeliveryTime{}}
	add("create-offer", offer, func(ctx context.Context) error {
		_, err := s.program.Market.CreateOffer(ctx, seller, id, offer)
		return err
	})
	hold := payment.HoldDraft{Reason: " "}
	add("open-hold", hold, func(ctx context.Context) error {
		_, err := s.program.Payments.OpenHold(ctx, admin, id, hold)
		return err
	})
	moved := payment.Adjustment{Reason: "x", From: "nowhere", To: "", Amount: money.MustAmount("1")}
	add("adjust-payment", moved, func(ctx context.Context) error {
		_, err := s.program.Payments.Adjust(ctx, admin, id, moved)
		return err
	})
	for name, c := range cases {
		direct := fieldsOf(c.call(t.Context()))
		if routed := s.fieldsOf(name, c.body); len(direct) == 0 || !containsAll(direct, routed) {
			t.Errorf("%s: the route names %v, the service %v", name, routed, direct)
		}
	}
}

// fieldsOf says what a route has to say of each field. One that finds something
// before all fields are looked at says less than the service.
func (s site) fieldsOf(name string, body any) map[string]string {
	id, _, _ := strings.Cut(name, " ")
	for _, r := range s.api.Routes() {
		if r.ID == id {
			c := caller{site: s, route: r, op: operationOf(s.api, r)}
			return c.call(c.path(), "", body).Error.Fields
		}
	}
	return nil
}

func fieldsOf(err error) map[string]string {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid {
		return nil
	}
	return f.Fields
}

// containsAll says that the service has something to say of each field that the
// route names, in the same words.
func containsAll(direct, routed map[string]string) bool {
	for _, field := range slices.Collect(maps.Keys(routed)) {
		if direct[field] != routed[field] {
			return false
		}
	}
	return len(routed) > 0
}
