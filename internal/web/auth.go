package web

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

const bearerScheme = "bearer"

// The roles that a member can have.
const (
	RoleBuyer    = "buyer"
	RoleSeller   = "seller" // may also buy
	RoleAdmin    = "admin"
	RoleResolver = "resolver" // of disputes
)

// Principal is who calls.
type Principal struct {
	UserID cutover.ID
	Role   string
}

// Authenticator finds out who holds a bearer token. Errors:
// fault.Unauthenticated when nobody does.
type Authenticator interface {
	Authenticate(ctx context.Context, bearer string) (Principal, error)
}

type principalKey struct{}

// WithPrincipal returns a context in which p calls: for tests of services.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who calls; the zero Principal on public routes.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// guard lets a request through to a route when its caller may call it. It
// runs before anything of the request is parsed.
func (a *API) guard(r Route) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		p, err := a.admit(ctx, r)
		if err == nil {
			err = checkParameters(ctx)
		}
		if err != nil {
			a.refuse(ctx, err)
			return
		}
		next(huma.WithContext(ctx, WithPrincipal(ctx.Context(), p)))
	}
}

// admit returns who calls; nobody on a public route.
func (a *API) admit(ctx huma.Context, r Route) (Principal, error) {
	if r.Who.IsPublic() {
		return Principal{}, nil
	}
	p, err := a.authenticate(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		return Principal{}, err
	}
	if err := r.Who.Admit(p); err != nil {
		return Principal{}, err
	}
	if info := infoFrom(ctx.Context()); info != nil {
		info.caller = p.UserID
	}
	return p, nil
}

func (a *API) authenticate(ctx context.Context, header string) (Principal, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || a.opts.Authenticator == nil {
		return Principal{}, fault.New(fault.Unauthenticated, "sign in first")
	}
	return a.opts.Authenticator.Authenticate(ctx, token)
}
