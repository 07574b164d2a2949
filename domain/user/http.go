package user

import (
	"context"
	"net/http"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/web"
)

// Routes registers this domain's routes.
func (s *Service) Routes(api *web.API) {
	s.authRoutes(api)
	s.profileRoutes(api)
	s.addressRoutes(api)
	s.adminRoutes(api)
}

func route(method, path, id, summary string, who web.Access) web.Route {
	return web.Route{Method: method, Path: path, ID: id, Summary: summary, Tag: Domain, Who: who}
}

type renewed struct {
	Tokens Tokens `json:"tokens"`
}

// sent is the answer of routes that do not tell what they did.
type sent struct {
	Message string `json:"message"`
}

type (
	registerInput struct{ Body Registration }
	verifyInput   struct {
		UserAgent string `header:"User-Agent"`
		Body      struct {
			Email    string `json:"email" maxLength:"254"`
			Code     string `json:"code" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
			Password string `json:"password" minLength:"8" maxLength:"128" doc:"Becomes the account's password"`
		}
	}
	emailInput struct {
		Body struct {
			Email string `json:"email" maxLength:"254"`
		}
	}
	loginInput struct {
		UserAgent string `header:"User-Agent"`
		Body      struct {
			Email    string `json:"email" maxLength:"254"`
			Password string `json:"password" maxLength:"128"`
		}
	}
	refreshInput struct {
		UserAgent string `header:"User-Agent"`
		Body      struct {
			RefreshToken string `json:"refreshToken" maxLength:"256"`
		}
	}
)

func (s *Service) authRoutes(api *web.API) {
	register := route(http.MethodPost, "/api/auth/register", "register", "Begin a registration: sends a six-digit code", web.Public)
	register.Status = http.StatusAccepted
	web.Handle(api, register, func(ctx context.Context, in *registerInput) (sent, error) {
		return sent{"If this address can be registered, a code is on its way."}, s.Register(ctx, in.Body)
	})
	resend := route(http.MethodPost, "/api/auth/resend-verification", "resend-verification", "Send a new code", web.Public)
	resend.Status = http.StatusAccepted
	web.Handle(api, resend, func(ctx context.Context, in *emailInput) (sent, error) {
		return sent{"If this address waits for a code, a new one is on its way."}, s.Resend(ctx, in.Body.Email)
	})
	verify := route(http.MethodPost, "/api/auth/verify-email-code", "verify-email-code", "Make the account of a registration, and sign in", web.Public)
	verify.Status = http.StatusCreated
	web.Handle(api, verify, func(ctx context.Context, in *verifyInput) (Session, error) {
		return s.Verify(ctx, in.Body.Email, in.Body.Code, in.Body.Password, clip(in.UserAgent))
	})
	web.Handle(api, route(http.MethodPost, "/api/auth/login", "login", "Sign in", web.Public),
		func(ctx context.Context, in *loginInput) (Session, error) {
			return s.Login(ctx, in.Body.Email, in.Body.Password, clip(in.UserAgent))
		})
	web.Handle(api, route(http.MethodPost, "/api/auth/refresh-token", "refresh-token", "Change a refresh token for the next pair of tokens", web.Public),
		func(ctx context.Context, in *refreshInput) (renewed, error) {
			tokens, err := s.Refresh(ctx, in.Body.RefreshToken, clip(in.UserAgent))
			return renewed{tokens}, err
		})
	web.Handle(api, route(http.MethodPost, "/api/auth/logout", "logout", "End the session of a refresh token", web.Public),
		func(ctx context.Context, in *refreshInput) (web.Empty, error) {
			return web.Empty{}, s.Logout(ctx, in.Body.RefreshToken)
		})
}

// clip bounds what a client says of itself.
func clip(userAgent string) string {
	runes := []rune(userAgent)
	return string(runes[:min(len(runes), 200)])
}

type (
	idInput struct {
		ID cutover.ID `path:"id"`
	}
	profileInput struct{ Body ProfileChange }
	walletInput  struct {
		Body struct {
			Address string `json:"address" pattern:"^0x[0-9a-fA-F]{40}$" patternDescription:"0x and 40 hex digits"`
			Chain   string `json:"chain" pattern:"^[a-z0-9-]{1,32}$" patternDescription:"a chain's name or number" example:"bsc"`
		}
	}
	signatureInput struct {
		Body struct {
			Signature string `json:"signature" pattern:"^(0x)?[0-9a-fA-F]{130}$" patternDescription:"65 bytes in hex"`
		}
	}
)

func caller(ctx context.Context) cutover.ID { return web.PrincipalFrom(ctx).UserID }

func (s *Service) profileRoutes(api *web.API) {
	web.Handle(api, route(http.MethodGet, "/api/user/profile", "get-profile", "The own account", web.SignedIn),
		func(ctx context.Context, _ *struct{}) (User, error) { return s.User(ctx, caller(ctx)) })
	web.Handle(api, route(http.MethodPut, "/api/user/profile", "put-profile", "Change the own account; what is absent stays", web.SignedIn),
		func(ctx context.Context, in *profileInput) (User, error) {
			return s.ChangeProfile(ctx, caller(ctx), in.Body)
		})
	web.Handle(api, route(http.MethodGet, "/api/users/profile/{id}", "get-public-profile", "What others see of a user", web.SignedIn),
		func(ctx context.Context, in *idInput) (PublicProfile, error) { return s.PublicProfile(ctx, in.ID) })
	web.Handle(api, route(http.MethodPost, "/api/user/wallet/challenge", "challenge-wallet", "A text for a wallet to sign (EIP-191 personal_sign) within five minutes", web.SignedIn),
		func(ctx context.Context, in *walletInput) (WalletChallenge, error) {
			return s.ChallengeWallet(ctx, caller(ctx), in.Body.Address, in.Body.Chain)
		})
	web.Handle(api, route(http.MethodPost, "/api/user/wallet/verify", "verify-wallet", "Prove that the wallet is the own one", web.SignedIn),
		func(ctx context.Context, in *signatureInput) (Wallet, error) {
			return s.VerifyWallet(ctx, caller(ctx), in.Body.Signature)
		})
}

type (
	addressInput     struct{ Body AddressInput }
	addressEditInput struct {
		ID   cutover.ID `path:"id"`
		Body AddressInput
	}
)

func (s *Service) addressRoutes(api *web.API) {
	owner := func(method, path, id, summary string) web.Route {
		r := route(method, path, id, summary, web.SignedIn)
		r.OwnersOnly = "own addresses only"
		return r
	}
	web.Handle(api, owner(http.MethodGet, "/api/addresses", "list-addresses", "All own addresses, oldest first"),
		func(ctx context.Context, _ *struct{}) (web.Page[Address], error) {
			all, err := s.Addresses(ctx, caller(ctx))
			return web.MakePage(all, maxAddresses, func(a Address) cutover.ID { return a.ID }), err
		})
	add := owner(http.MethodPost, "/api/addresses", "add-address", "Add an address; the first one is primary")
	add.Status = http.StatusCreated
	web.Handle(api, add, func(ctx context.Context, in *addressInput) (Address, error) {
		return s.AddAddress(ctx, caller(ctx), in.Body)
	})
	web.Handle(api, owner(http.MethodGet, "/api/addresses/{id}", "get-address", "One address"),
		func(ctx context.Context, in *idInput) (Address, error) { return s.Address(ctx, caller(ctx), in.ID) })
	web.Handle(api, owner(http.MethodPut, "/api/addresses/{id}", "put-address", "Replace an address"),
		func(ctx context.Context, in *addressEditInput) (Address, error) {
			return s.ChangeAddress(ctx, caller(ctx), in.ID, in.Body)
		})
	web.Handle(api, owner(http.MethodDelete, "/api/addresses/{id}", "remove-address", "Remove an address"),
		func(ctx context.Context, in *idInput) (web.Empty, error) {
			return web.Empty{}, s.RemoveAddress(ctx, caller(ctx), in.ID)
		})
}

type (
	newAccountInput struct{ Body NewAccount }
	listUsersInput  struct {
		web.Paging
		Role   Role   `query:"role" enum:"buyer,seller,admin,resolver"`
		Status Status `query:"status" enum:"active,suspended,deleted"`
		Email  string `query:"email" maxLength:"254" doc:"Exactly this address"`
	}
	statusInput struct {
		ID   cutover.ID `path:"id"`
		Body struct {
			Status Status `json:"status" enum:"active,suspended"`
		}
	}
	roleInput struct {
		ID   cutover.ID `path:"id"`
		Body struct {
			Role Role `json:"role" enum:"buyer,seller,admin,resolver"`
		}
	}
)

func (s *Service) adminRoutes(api *web.API) {
	admin := web.Roles(string(Admin))
	create := route(http.MethodPost, "/api/admin/users", "create-user", "Make an account that is verified already", admin)
	create.Status = http.StatusCreated
	web.Handle(api, create, func(ctx context.Context, in *newAccountInput) (User, error) {
		return s.CreateUser(ctx, web.PrincipalFrom(ctx), in.Body)
	})
	web.Handle(api, route(http.MethodGet, "/api/admin/users", "list-users", "Accounts, newest first", admin), s.listUsers)
	web.Handle(api, route(http.MethodPatch, "/api/admin/users/{id}/status", "set-user-status", "Suspend an account, or let it be used again", admin),
		func(ctx context.Context, in *statusInput) (User, error) {
			return s.SetStatus(ctx, web.PrincipalFrom(ctx), in.ID, in.Body.Status)
		})
	web.Handle(api, route(http.MethodPatch, "/api/admin/users/{id}/role", "set-user-role", "Change what an account may do", admin),
		func(ctx context.Context, in *roleInput) (User, error) {
			return s.SetRole(ctx, web.PrincipalFrom(ctx), in.ID, in.Body.Role)
		})
	web.Handle(api, route(http.MethodDelete, "/api/admin/users/{id}", "delete-user", "Erase what is personal and end sign-in; the record stays", admin),
		func(ctx context.Context, in *idInput) (web.Empty, error) {
			return web.Empty{}, s.DeleteUser(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, route(http.MethodGet, "/api/admin/users/{id}/dependencies", "user-dependencies", "What names this user, and may stand in the way of deleting it", admin),
		func(ctx context.Context, in *idInput) (Dependencies, error) {
			return s.Dependencies(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) listUsers(ctx context.Context, in *listUsersInput) (web.Page[User], error) {
	after, err := in.After()
	if err != nil {
		return web.Page[User]{}, err
	}
	users, err := s.Users(ctx, web.PrincipalFrom(ctx), Filter{in.Role, in.Status, in.Email}, after, in.Limit+1)
	return web.MakePage(users, in.Limit, func(u User) cutover.ID { return u.ID }), err
}
