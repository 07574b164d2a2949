package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
	"github.com/amanat-dev/amanat/internal/web/webtest"
)

// tokens is an Authenticator: the token is the role.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, bearer string) (web.Principal, error) {
	if bearer != "buyer" && bearer != "admin" {
		return web.Principal{}, fault.New(fault.Unauthenticated, "this token is not valid")
	}
	return web.Principal{UserID: cutover.MustID("65f1c0ffee0123456789abcd"), Role: bearer}, nil
}

type bundle struct {
	api *web.API
	log *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func setup(t *testing.T) bundle {
	t.Helper()
	log := new(safeBuffer)
	api := web.New(web.Options{Authenticator: tokens{}, Logger: slog.New(slog.NewJSONHandler(log, nil)), Version: "1"})
	return bundle{api, log}
}

type sale struct {
	Price  money.Amount  `json:"price"`
	Units  *money.Units  `json:"units,omitempty"`
	Buyer  cutover.ID    `json:"buyer"`
	Title  string        `json:"title" maxLength:"5"`
	Count  int           `json:"count,omitempty"`
	Budget *saleBudget   `json:"budget,omitempty"`
	Tags   []saleBudget  `json:"tags,omitempty"`
	At     *time.Time    `json:"at,omitempty"`
	Mode   string        `json:"mode,omitempty" enum:"fast,slow"`
	Mail   string        `json:"mail,omitempty" format:"email"`
	Extra  cutover.Extra `json:"-"`
}

type saleBudget struct {
	Min money.Amount `json:"min"`
}

type saleInput struct {
	ID cutover.ID `path:"id"`
	web.Paging
	Body sale
}

// echo registers a route that answers with what it was sent.
func echo(api *web.API) {
	web.Handle(api, web.Route{Method: http.MethodPut, Path: "/api/sales/{id}", ID: "put-sale", Who: web.SignedIn},
		func(_ context.Context, in *saleInput) (sale, error) { return in.Body, nil })
}

// failing registers a route that answers with that error.
func failing(api *web.API, err error) {
	web.Handle(api, web.Route{Method: http.MethodGet, Path: "/api/fail", ID: "fail", Who: web.Public},
		func(context.Context, *struct{}) (web.Empty, error) { return web.Empty{}, err })
}

type errorAnswer struct {
	Success bool          `json:"success"`
	Error   web.ErrorBody `json:"error"`
}

func wantError(t *testing.T, rec *httptest.ResponseRecorder, status int, code string) web.ErrorBody {
	t.Helper()
	var a errorAnswer
	dec := json.NewDecoder(bytes.NewReader(rec.Body.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		t.Fatalf("want the error envelope, got %v: %s", err, rec.Body)
	}
	if rec.Code != status || a.Success || a.Error.Code != code || a.Error.Message == "" {
		t.Fatalf("want %d %s, got %d: %s", status, code, rec.Code, rec.Body)
	}
	if a.Error.RequestID == "" || a.Error.RequestID != rec.Header().Get("X-Request-Id") {
		t.Fatalf("request id: body %q, header %q", a.Error.RequestID, rec.Header().Get("X-Request-Id"))
	}
	if ct := rec.Header().Get("Content-Type"); ct != "application/json" {
		t.Fatalf("content type: %q", ct)
	}
	return a.Error
}

const salePath = "/api/sales/65f1c0ffee0123456789abcd"

func TestMoneyIsReadFromItsTextAndAnsweredAsString(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	for _, price := range []string{`"12345678901234567890123456789.123456789"`, `12345678901234567890123456789.123456789`} {
		body := `{"price":` + price + `,"units":99999999999999999999999999999999999999,"buyer":"65f1c0ffee0123456789abce","title":"a"}`
		rec := webtest.Call(b.api.Handler(), "PUT", salePath, "buyer", body)
		want := `{"success":true,"data":{"price":"12345678901234567890123456789.123456789","units":"99999999999999999999999999999999999999","buyer":"65f1c0ffee0123456789abce","title":"a"}}`
		if rec.Code != http.StatusOK || strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("want %s, got %d: %s", want, rec.Code, rec.Body)
		}
	}
}

func TestBadInputIsRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	h := b.api.Handler()
	const good = `"price":"1","buyer":"65f1c0ffee0123456789abce","title":"a"`
	for name, c := range map[string]struct{ path, body, field string }{
		"unknown field":        {salePath, `{` + good + `,"hunter2":"x"}`, "hunter2"},
		"other casing":         {salePath, `{` + good + `,"TITLE":"far too long"}`, "TITLE"},
		"missing":              {salePath, `{"price":"1","title":"a"}`, "buyer"},
		"missing in group":     {salePath, `{` + good + `,"budget":{}}`, "budget.min"},
		"in a list":            {salePath, `{` + good + `,"tags":[{"min":"1"},{"min":"x"}]}`, "tags[1].min"},
		"too long":             {salePath, `{"price":"1","buyer":"65f1c0ffee0123456789abce","title":"hunter2"}`, "title"},
		"wrong type":           {salePath, `{"price":"1","buyer":"65f1c0ffee0123456789abce","title":7}`, "title"},
		"amount as word":       {salePath, `{"price":"hunter2","buyer":"65f1c0ffee0123456789abce","title":"a"}`, "price"},
		"amount as list":       {salePath, `{"price":["hunter2"],"buyer":"65f1c0ffee0123456789abce","title":"a"}`, "price"},
		"amount exponent":      {salePath, `{"price":1e3,"buyer":"65f1c0ffee0123456789abce","title":"a"}`, "price"},
		"amount too long":      {salePath, `{"price":111111111111111111111111111111111111111,"buyer":"65f1c0ffee0123456789abce","title":"a"}`, "price"},
		"units with point":     {salePath, `{` + good + `,"units":"1.5"}`, "units"},
		"units number point":   {salePath, `{` + good + `,"units":1.5}`, "units"},
		"foreign id":           {salePath, `{"price":"1","buyer":"hunter2","title":"a"}`, "buyer"},
		"fraction for count":   {salePath, `{` + good + `,"count":1.5}`, "count"},
		"not in enum":          {salePath, `{` + good + `,"mode":"hunter2"}`, "mode"},
		"no mail address":      {salePath, `{` + good + `,"mail":"hunter2"}`, "mail"},
		"no time":              {salePath, `{` + good + `,"at":"hunter2"}`, "at"},
		"not JSON":             {salePath, `{"hunter2`, "body"},
		"two values":           {salePath, `{` + good + `}{}`, "body"},
		"null":                 {salePath, `null`, "body"},
		"count past int64":     {salePath, `{` + good + `,"count":99999999999999999999}`, "body"},
		"given twice":          {salePath, `{` + good + `,"title":"b"}`, "title"},
		"given twice in list":  {salePath, `{` + good + `,"tags":[{"min":"1","min":"2"}]}`, "tags[0].min"},
		"NUL":                  {salePath, `{"price":"1","buyer":"65f1c0ffee0123456789abce","title":"a\u0000"}`, "title"},
		"NUL in a name":        {salePath, `{` + good + `,"a\u0000":1}`, "a�"},
		"NUL in list":          {salePath, `{` + good + `,"tags":[{"min":"1"},{"min":"\u0000"}]}`, "tags[1].min"},
		"half a character":     {salePath, "{" + good[:len(good)-1] + "\xc3\"}", "title"},
		"half a pair":          {salePath, `{"price":"1","buyer":"65f1c0ffee0123456789abce","title":"\ud800"}`, "title"},
		"NUL in the query":     {salePath + "?cursor=%00", `{` + good + `}`, "cursor"},
		"query is no text":     {salePath + "?cursor=%ff", `{` + good + `}`, "cursor"},
		"name of a parameter":  {salePath + "?%ff=1", `{` + good + `}`, "�"},
		"query of other rules": {salePath + "?cursor=1;limit=2", `{` + good + `}`, "query"},
		"NUL in the path":      {"/api/sales/%00", `{` + good + `}`, "id"},
		"path id":              {"/api/sales/hunter2", `{` + good + `}`, "id"},
		"limit past maximum":   {salePath + "?limit=101", `{` + good + `}`, "limit"},
		"limit that is a word": {salePath + "?limit=hunter2", `{` + good + `}`, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := webtest.Call(h, "PUT", c.path, "buyer", c.body)
			e := wantError(t, rec, http.StatusBadRequest, "invalid")
			if e.Fields[c.field] == "" {
				t.Errorf("want field %q, got %v", c.field, e.Fields)
			}
			if c.field != "hunter2" && strings.Contains(rec.Body.String(), "hunter2") && !strings.Contains(rec.Body.String(), `id \"hunter2\"`) {
				t.Errorf("the answer repeats what was sent: %s", rec.Body)
			}
		})
	}
}

func TestBodyLimitAndMediaType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	big := `{"title":"` + strings.Repeat("x", web.MaxBody) + `"}`
	wantError(t, webtest.Call(b.api.Handler(), "PUT", salePath, "buyer", big), http.StatusRequestEntityTooLarge, "too_large")

	req := httptest.NewRequest("PUT", salePath, strings.NewReader("a=b"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer buyer")
	rec := httptest.NewRecorder()
	b.api.Handler().ServeHTTP(rec, req)
	wantError(t, rec, http.StatusUnsupportedMediaType, "unsupported_media_type")
}

func TestFaultsBecomeStatusCodes(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fault.Kind]int{
		fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
		fault.Conflict: 409, fault.Locked: 423, fault.RateLimited: 429, fault.Unavailable: 503,
	} {
		b := setup(t)
		failing(b.api, fmt.Errorf("outer: %w", &fault.Error{Kind: kind, Message: "told", RetryAfter: 1500 * time.Millisecond,
			Cause: errors.New("hunter2"), Fields: map[string]string{"a": "b"}}))
		rec := webtest.Call(b.api.Handler(), "GET", "/api/fail", "", "")
		e := wantError(t, rec, want, string(kind))
		if e.Message != "told" || e.Fields["a"] != "b" || rec.Header().Get("Retry-After") != "2" || strings.Contains(rec.Body.String(), "hunter2") {
			t.Errorf("%s: %s, Retry-After %q", kind, rec.Body, rec.Header().Get("Retry-After"))
		}
	}
}

func TestUnavailableAlwaysSaysWhenToRetry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failing(b.api, fault.New(fault.Unavailable, "not now"))
	rec := webtest.Call(b.api.Handler(), "GET", "/api/fail", "", "")
	if rec.Header().Get("Retry-After") != "1" {
		t.Errorf("want Retry-After 1, got %q", rec.Header().Get("Retry-After"))
	}
}

func TestInternalErrorsAreLoggedAndNotTold(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("hunter2"), fault.Wrap(errors.New("x"), fault.Internal, "hunter2")} {
		b := setup(t)
		failing(b.api, err)
		rec := webtest.Call(b.api.Handler(), "GET", "/api/fail", "", "")
		e := wantError(t, rec, 500, "internal")
		if e.Message != "internal error" || strings.Contains(rec.Body.String(), "hunter2") {
			t.Errorf("told: %s", rec.Body)
		}
		if log := b.log.String(); !strings.Contains(log, "hunter2") || !strings.Contains(log, e.RequestID) {
			t.Errorf("want cause and request id in the log, got %s", log)
		}
	}
}

func TestPanicIsRecoveredWithItsStackInTheLogOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	web.Handle(b.api, web.Route{Method: "GET", Path: "/api/panic", ID: "panic", Who: web.Public},
		func(context.Context, *struct{}) (web.Empty, error) { panic("hunter2") })
	rec := webtest.Call(b.api.Handler(), "GET", "/api/panic", "", "")
	wantError(t, rec, 500, "internal")
	if strings.Contains(rec.Body.String(), "hunter2") || strings.Contains(rec.Body.String(), ".go") {
		t.Errorf("told: %s", rec.Body)
	}
	if !strings.Contains(b.log.String(), "web_test.go") {
		t.Errorf("want the stack in the log, got %s", b.log)
	}
}

func TestUnknownRouteAndMethodAreInTheEnvelope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	wantError(t, webtest.Call(b.api.Handler(), "GET", "/nowhere", "", ""), 404, "not_found")
	rec := webtest.Call(b.api.Handler(), "DELETE", salePath, "", "")
	wantError(t, rec, 405, "method_not_allowed")
	if rec.Header().Get("Allow") != "PUT" {
		t.Errorf("want Allow: PUT, got %q", rec.Header().Get("Allow"))
	}
}

func TestOnlyTheFrontEndsPagesMayCall(t *testing.T) {
	t.Parallel()
	api := web.New(web.Options{Authenticator: tokens{}, Logger: slog.New(slog.DiscardHandler), Origins: []string{"https://amanat.example.org"}})
	echo(api)
	asked := func(method, origin string) http.Header {
		req := httptest.NewRequest(method, salePath, nil)
		req.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			req.Header.Set("Access-Control-Request-Method", "PUT")
			req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		}
		rec := httptest.NewRecorder()
		api.Handler().ServeHTTP(rec, req)
		return rec.Header()
	}
	for origin, want := range map[string]string{"https://amanat.example.org": "https://amanat.example.org", "https://evil.example.org": "", "null": ""} {
		preflight, answer := asked("OPTIONS", origin), asked("PUT", origin)
		if preflight.Get("Access-Control-Allow-Origin") != want || answer.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: the preflight allows %q, the answer %q, want %q", origin, preflight.Get("Access-Control-Allow-Origin"), answer.Get("Access-Control-Allow-Origin"), want)
		}
		if allowed := preflight.Get("Access-Control-Allow-Methods") == "PUT" && preflight.Get("Access-Control-Allow-Headers") == "authorization,content-type"; allowed != (want != "") {
			t.Errorf("%s: got %v", origin, preflight)
		}
		if preflight.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies are allowed", origin)
		}
	}
}

func TestWithoutOriginsNoPageMayCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	req := httptest.NewRequest("PUT", salePath, nil)
	req.Header.Set("Origin", "https://amanat.example.org")
	rec := httptest.NewRecorder()
	b.api.Handler().ServeHTTP(rec, req)
	if got := rec.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("%q is allowed", got)
	}
}

func TestRequestIDIsTakenWhenSane(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failing(b.api, nil)
	for given, taken := range map[string]bool{
		"abcdef-123456": true, "": false, "short": false, "line\nbreak-in-it": false, strings.Repeat("x", 65): false,
	} {
		req := httptest.NewRequest("GET", "/api/fail", nil)
		req.Header.Set("X-Request-Id", given)
		rec := httptest.NewRecorder()
		b.api.Handler().ServeHTTP(rec, req)
		got := rec.Header().Get("X-Request-Id")
		if (got == given) != taken || got == "" {
			t.Errorf("given %q: taken %v, got %q", given, taken, got)
		}
	}
}

func TestAccessLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	webtest.Call(b.api.Handler(), "PUT", salePath+"?token=hunter2", "hunter2", `{"hunter2":1}`)
	log := b.log.String()
	if strings.Contains(log, "hunter2") || !strings.Contains(log, salePath) || !strings.Contains(log, `"status":401`) {
		t.Errorf("log: %s", log)
	}
}

func TestAccessIsCheckedBeforeInputAndByRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	failing(b.api, nil)
	web.Handle(b.api, web.Route{Method: "GET", Path: "/api/admin/{id}", ID: "admin", Who: web.Roles("admin")},
		func(ctx context.Context, _ *struct{}) (string, error) { return web.PrincipalFrom(ctx).Role, nil })
	public := webtest.CheckAccess(t, b.api.Handler(), b.api.Routes(), map[string]string{"buyer": "buyer", "admin": "admin"})
	if len(public) != 1 || public[0] != "GET /api/fail" {
		t.Errorf("public: %v", public)
	}
	rec := webtest.Call(b.api.Handler(), "GET", "/api/admin/x", "admin", "")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"data":"admin"`) {
		t.Errorf("admin: %d %s", rec.Code, rec.Body)
	}
}

func TestOpenAPIDocumentSaysWhoMayCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	failing(b.api, nil)
	rec := webtest.Call(b.api.Handler(), "GET", "/api/openapi.json", "", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]map[string]any
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	put := doc.Paths["/api/sales/{id}"]["put"]
	if put["x-who"] != "signed in" || fmt.Sprint(put["security"]) != "[map[bearer:[]]]" {
		t.Errorf("put: %v", put)
	}
	if get := doc.Paths["/api/fail"]["get"]; get["x-who"] != "public" || fmt.Sprint(get["security"]) != "[]" {
		t.Errorf("get: %v", get)
	}
	yaml := webtest.Call(b.api.Handler(), "GET", "/api/openapi.yaml", "", "")
	if yaml.Code != 200 || !strings.Contains(yaml.Body.String(), "x-who: signed in") {
		t.Errorf("yaml: %d %.300s", yaml.Code, yaml.Body)
	}
}

func TestSchemasOfEqualNamesStayApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type one struct{ A string }
	handle := func(id string, fn func()) { fn() }
	handle("a", func() {
		type in struct{ Body struct{ A string } }
		web.Handle(b.api, web.Route{Method: "POST", Path: "/a", ID: "a", Who: web.Public}, func(context.Context, *in) (one, error) { return one{}, nil })
	})
	handle("b", func() {
		type in struct{ Body struct{ B int } }
		type one struct{ B int }
		web.Handle(b.api, web.Route{Method: "POST", Path: "/b", ID: "b", Who: web.Public}, func(context.Context, *in) (one, error) { return one{}, nil })
	})
	if rec := webtest.Call(b.api.Handler(), "POST", "/b", "", `{"B":1}`); rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestHealthIs200Or503(t *testing.T) {
	t.Parallel()
	for ok, want := range map[bool]int{true: 200, false: 503} {
		api := web.New(web.Options{Logger: slog.New(slog.DiscardHandler), Health: func(context.Context) (any, bool) {
			return map[string]int{"views": 7}, ok
		}})
		rec := webtest.Call(api.Handler(), "GET", web.HealthPath, "", "")
		if rec.Code != want || !strings.Contains(rec.Body.String(), `"views":7`) {
			t.Errorf("want %d, got %d %s", want, rec.Code, rec.Body)
		}
	}
}

func TestAListAsksForOneMore(t *testing.T) {
	t.Parallel()
	ids := []cutover.ID{cutover.NewID(), cutover.NewID(), cutover.NewID()}
	same := func(id cutover.ID) cutover.ID { return id }
	list := func(limit int, cursor string) (web.Page[cutover.ID], error) {
		return web.List(web.Paging{Limit: limit, Cursor: cursor}, same, func(after cutover.ID, most int) ([]cutover.ID, error) {
			from := slices.Index(ids, after) + 1
			return ids[from:min(from+most, len(ids))], nil
		})
	}
	if p, err := list(2, ""); err != nil || len(p.Items) != 2 || p.NextCursor != ids[1].String() {
		t.Errorf("full page: %+v, %v", p, err)
	}
	if p, err := list(2, ids[1].String()); err != nil || len(p.Items) != 1 || p.NextCursor != "" {
		t.Errorf("last page: %+v, %v", p, err)
	}
	if p, err := list(0, ""); err != nil || len(p.Items) != 3 || p.NextCursor != "" {
		t.Errorf("all: %+v, %v", p, err)
	}
	if p := web.Whole[cutover.ID](nil); p.Items == nil {
		t.Error("an empty page has a list")
	}
	if _, err := list(2, "nonsense"); !fault.Is(err, fault.Invalid) {
		t.Errorf("want invalid, got %v", err)
	}
}

func TestWhatIsNoTextIsRefusedWhereverItTravels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	echo(b.api)
	const body = `{"price":"1","buyer":"65f1c0ffee0123456789abcd","title":"a%sb","budget":{"min":"1"}}`
	for in, field := range map[string]string{`\u0007`: "title", `\u202e`: "title", "\u2066": "title", `\n`: "title", `\u0000`: "title", `\ud800`: "title"} {
		rec := webtest.Call(b.api.Handler(), "PUT", "/api/sales/65f1c0ffee0123456789abcd", "buyer", fmt.Sprintf(body, in))
		if e := wantError(t, rec, 400, "invalid"); e.Fields[field] == "" {
			t.Errorf("%q: want %s named, got %v", in, field, e.Fields)
		}
	}
	good := fmt.Sprintf(body, "")
	for path, field := range map[string]string{
		"/api/sales/65f1c0ffee0123456789abcd?cursor=a%E2%80%AEb": "cursor", "/api/sales/65f1c0ffee0123456789abcd?cursor=a%0Ab": "cursor",
		"/api/sales/a%E2%80%AEb": "id",
	} {
		if e := wantError(t, webtest.Call(b.api.Handler(), "PUT", path, "buyer", good), 400, "invalid"); e.Fields[field] == "" {
			t.Errorf("%s: want %s named, got %v", path, field, e.Fields)
		}
	}
}

func TestAServiceAsksWhoCallsByWhatTheRouteSays(t *testing.T) {
	t.Parallel()
	someone := cutover.NewID()
	admins := web.Roles(web.RoleAdmin)
	for _, c := range []struct {
		access web.Access
		who    web.Principal
		want   fault.Kind
	}{
		{web.Public, web.Principal{}, ""},
		{web.SignedIn, web.Principal{}, fault.Unauthenticated},
		{web.SignedIn, web.Principal{UserID: someone, Role: web.RoleBuyer}, ""},
		{admins, web.Principal{Role: web.RoleAdmin}, fault.Unauthenticated},
		{admins, web.Principal{UserID: someone, Role: web.RoleBuyer}, fault.Forbidden},
		{admins, web.Principal{UserID: someone, Role: web.RoleAdmin}, ""},
	} {
		if got := fault.KindOf(c.access.Admit(c.who)); got != c.want {
			t.Errorf("%+v on what is for %s: want %q, got %q", c.who, c.access, c.want, got)
		}
	}
}

func TestServeFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served, answered := make(chan error, 1), make(chan string, 1)
	go func() { served <- web.Serve(ctx, l, h, 10*time.Second) }()
	go func() {
		res, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answered <- string(b)
	}()
	<-begun
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("in flight: %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestServeSaysWhenTheGraceWasTooShort(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, l, h, 10*time.Millisecond) }()
	go func() { _, _ = http.Get("http://" + l.Addr().String()) }()
	<-begun
	cancel()
	if err := <-served; err == nil {
		t.Error("want an error: a request was cut off")
	}
}
