package web

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
)

// MaxBody is the most bytes that a request body may have.
const MaxBody = 1 << 20

// Access says who may call a route: Public, SignedIn, or Roles(…).
type Access struct {
	public bool
	roles  []string // any signed-in user when empty
}

// Public routes ask for no token, and ignore one.
var Public = Access{public: true}

// SignedIn routes are for every signed-in user.
var SignedIn = Access{}

// Roles makes a route one for signed-in users of any of these roles.
func Roles(roles ...string) Access {
	if len(roles) == 0 {
		panic("web: Roles without a role would admit everybody")
	}
	return Access{roles: roles}
}

// IsPublic says that no token is asked for.
func (a Access) IsPublic() bool { return a.public }

// Allows says whether a signed-in user of that role may call.
func (a Access) Allows(role string) bool {
	return a.public || len(a.roles) == 0 || slices.Contains(a.roles, role)
}

// String returns "public", "signed in" or the roles, such as "admin, resolver".
func (a Access) String() string {
	switch {
	case a.public:
		return "public"
	case len(a.roles) == 0:
		return "signed in"
	}
	return strings.Join(a.roles, ", ")
}

// Admit returns nil when p may call what is for a. Services ask it, whatever
// the route has asked before. Errors: fault.Unauthenticated; fault.Forbidden.
func (a Access) Admit(p Principal) error {
	switch {
	case a.public:
		return nil
	case p.UserID.IsZero():
		return fault.New(fault.Unauthenticated, "sign in first")
	case !a.Allows(p.Role):
		return fault.New(fault.Forbidden, "this is for %s only", a)
	}
	return nil
}

// Route describes one operation of the API. A domain declares its own with a
// Group.
type Route struct {
	Method  string // such as http.MethodGet
	Path    string // such as "/api/addresses/{id}"
	ID      string // unique over the whole API, such as "get-address"
	Summary string
	Tag     string // groups routes in the document: the domain's name
	Who     Access
	Status  int // of a success; default 200
	// OwnersOnly says in words to whom the service narrows it down further,
	// such as "the request's buyer".
	OwnersOnly string
}

// Group declares routes of one domain.
type Group struct {
	Tag  string
	Root string // before each path
}

// Get declares a route that reads.
func (g Group) Get(path, id, summary string, who Access) Route {
	return Route{Method: http.MethodGet, Path: g.Root + path, ID: id, Summary: summary, Tag: g.Tag, Who: who}
}

// Post declares a route that adds something, or does it.
func (g Group) Post(path, id, summary string, who Access) Route {
	return g.Get(path, id, summary, who).by(http.MethodPost)
}

// Put declares a route that replaces something.
func (g Group) Put(path, id, summary string, who Access) Route {
	return g.Get(path, id, summary, who).by(http.MethodPut)
}

// Patch declares a route that changes a part of something.
func (g Group) Patch(path, id, summary string, who Access) Route {
	return g.Get(path, id, summary, who).by(http.MethodPatch)
}

// Delete declares a route that removes something.
func (g Group) Delete(path, id, summary string, who Access) Route {
	return g.Get(path, id, summary, who).by(http.MethodDelete)
}

func (r Route) by(method string) Route {
	r.Method = method
	return r
}

// Created says that a success is 201.
func (r Route) Created() Route {
	r.Status = http.StatusCreated
	return r
}

// Accepted says that a success is 202: something is left to do.
func (r Route) Accepted() Route {
	r.Status = http.StatusAccepted
	return r
}

// Narrowed says in words to whom the service narrows it down.
func (r Route) Narrowed(owners string) Route {
	r.OwnersOnly = owners
	return r
}

func (r Route) who() string {
	if r.OwnersOnly == "" {
		return r.Who.String()
	}
	return r.Who.String() + "; " + r.OwnersOnly
}

// Success is the envelope of every answer without an error.
type Success[T any] struct {
	Success bool `json:"success"`
	Data    T    `json:"data"`
}

// Empty is the data of an answer that has none: {}.
type Empty struct{}

type answer[T any] struct{ Body Success[T] }

// Handle registers a route. fn gets the decoded input, held against its tags
// (package limit); the caller is in its context (PrincipalFrom). Its result is answered as
// {"success":true,"data":…}; an error by its fault.Kind, and one that is no
// fault as an internal error whose cause only the log shows.
func Handle[I, O any](api *API, r Route, fn func(ctx context.Context, in *I) (O, error)) {
	api.add(&r)
	op := api.operation(r)
	op.SkipValidateBody = takesRawBody(reflect.TypeFor[I]())
	limit.Of(new(I)) // a tag that cannot be meant panics here
	huma.Register(api.huma, op, func(ctx context.Context, in *I) (*answer[O], error) {
		out, err := checked(ctx, in, fn)
		if err != nil {
			return nil, api.failureOf(ctx, err)
		}
		return &answer[O]{Success[O]{true, out}}, nil
	})
}

// checked calls fn with an input that is as its tags say.
func checked[I, O any](ctx context.Context, in *I, fn func(ctx context.Context, in *I) (O, error)) (out O, err error) {
	if err := limit.Check(in); err != nil {
		return out, err
	}
	return fn(ctx, in)
}

// takesRawBody says that an input wants the body's bytes as they came, and
// reads them itself: huma would check them against the schema of a string.
func takesRawBody(input reflect.Type) bool {
	_, raw := input.FieldByName("RawBody")
	_, typed := input.FieldByName("Body")
	return raw && !typed
}

// add takes r into the list and fills its defaults.
func (a *API) add(r *Route) {
	if r.ID == "" || a.ids[r.ID] {
		panic(fmt.Sprintf("web: route %s %s: the id %q is empty or taken", r.Method, r.Path, r.ID))
	}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	a.ids[r.ID] = true
	a.routes = append(a.routes, *r)
}

func (a *API) operation(r Route) huma.Operation {
	op := huma.Operation{
		OperationID:   r.ID,
		Method:        r.Method,
		Path:          r.Path,
		Summary:       r.Summary,
		Description:   "Who may call: " + r.who() + ".",
		DefaultStatus: r.Status,
		MaxBodyBytes:  MaxBody,
		// The whole-request timeout of Serve, stated again since huma would
		// set a shorter one, and a deadline that passes while a handler works
		// would cancel that handler.
		BodyReadTimeout: ReadTimeout,
		Security:        []map[string][]string{},
		Extensions:      map[string]any{"x-who": r.who()},
		Responses:       a.errorResponses(r),
		Middlewares:     huma.Middlewares{a.guard(r)},
	}
	if r.Tag != "" {
		op.Tags = []string{r.Tag}
	}
	if !r.Who.IsPublic() {
		op.Security = []map[string][]string{{bearerScheme: {}}}
	}
	return op
}

// errorResponses documents the errors of a route; all have the same shape.
func (a *API) errorResponses(r Route) map[string]*huma.Response {
	out := map[string]*huma.Response{"default": a.errorResponse("Error")}
	if r.Who.IsPublic() {
		return out
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		out[strconv.Itoa(status)] = a.errorResponse(http.StatusText(status))
	}
	return out
}

func (a *API) errorResponse(description string) *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(failureType, true, "")
	return &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}

// ReadTimeout is how long a whole request may take to arrive; a handler that
// works longer than that loses its context.
const ReadTimeout = 30 * time.Second
