package user

import (
	"context"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/web"
)

// clockSkew is how far the clocks of two servers may be apart.
const clockSkew = 5 * time.Second

// claims are what an access token says. It is not looked up: a suspended user
// keeps it until it ends, at most accessLife later.
type claims struct {
	Role Role `json:"role"`
	jwt.RegisteredClaims
}

func (s *Service) accessToken(u *User) (string, error) {
	now := s.now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{u.Role, jwt.RegisteredClaims{
		Subject:   u.ID.String(),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(accessLife)),
		ID:        cutover.NewID().String(),
	}}).SignedString(s.deps.JWTSecret)
}

// Authenticate reads an access token. Errors: fault.Unauthenticated.
func (s *Service) Authenticate(_ context.Context, bearer string) (web.Principal, error) {
	token := hashOf(bearer)
	if who, ok := s.verified.find(token, s.deps.Now()); ok {
		return who, nil
	}
	c, err := s.claimsOf(bearer)
	if err != nil {
		return web.Principal{}, fault.Wrap(err, fault.Unauthenticated, "this access token is not valid, or no more")
	}
	id, err := cutover.ParseID(c.Subject)
	if err != nil || checkRole(c.Role, Buyer, Seller, Admin, Resolver) != nil {
		return web.Principal{}, fault.New(fault.Unauthenticated, "this access token is not valid")
	}
	who := web.Principal{UserID: id, Role: string(c.Role)}
	s.verified.remember(token, who, c.ExpiresAt.Add(clockSkew))
	return who, nil
}

// claimsOf verifies a token and reads what it says.
func (s *Service) claimsOf(bearer string) (c claims, err error) {
	_, err = jwt.ParseWithClaims(bearer, &c,
		func(*jwt.Token) (any, error) { return s.deps.JWTSecret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.deps.Now))
	return c, err
}
