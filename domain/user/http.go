package user

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Routes registers this domain's routes.
func (s *Service) Routes(api *web.API) {
	s.authRoutes(api)
	s.profileRoutes(api)
	s.addressRoutes(api)
	s.adminRoutes(api)
}

var routes = web.Group{Tag: Domain, Root: "/api"}

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
		Body      EmailProof
	}
	recipientInput struct{ Body Recipient }
	loginInput     struct {
		UserAgent string `header:"User-Agent"`
		Body      Credentials
	}
	refreshInput struct {
		UserAgent string `header:"User-Agent"`
		Body      struct {
			RefreshToken string `json:"refreshToken" maxLength:"256"`
		}
	}
)

func (s *Service) authRoutes(api *web.API) {
	web.Handle(api, routes.Post("/auth/register", "register", "Begin a registration: sends a six-digit code", web.Public).Accepted(), func(ctx context.Context, in *registerInput) (sent, error) {
		return sent{"If this address can be registered, a code is on its way."}, s.Register(ctx, in.Body)
	})
	web.Handle(api, routes.Post("/auth/resend-verification", "resend-verification", "Send a new code", web.Public).Accepted(), func(ctx context.Context, in *recipientInput) (sent, error) {
		return sent{"If this address waits for a code, a new one is on its way."}, s.Resend(ctx, in.Body)
	})
	web.Handle(api, routes.Post("/auth/verify-email-code", "verify-email-code", "Make the account of a registration, and sign in", web.Public).Created(), func(ctx context.Context, in *verifyInput) (Session, error) {
		return s.Verify(ctx, in.Body, clip(in.UserAgent))
	})
	web.Handle(api, routes.Post("/auth/login", "login", "Sign in", web.Public),
		func(ctx context.Context, in *loginInput) (Session, error) {
			return s.Login(ctx, in.Body, clip(in.UserAgent))
		})
	web.Handle(api, routes.Post("/auth/refresh-token", "refresh-token", "Change a refresh token for the next pair of tokens", web.Public),
		func(ctx context.Context, in *refreshInput) (renewed, error) {
			tokens, err := s.Refresh(ctx, in.Body.RefreshToken, clip(in.UserAgent))
			return renewed{tokens}, err
		})
	web.Handle(api, routes.Post("/auth/logout", "logout", "End the session of a refresh token", web.Public),
		func(ctx context.Context, in *refreshInput) (web.Empty, error) {
			return web.Empty{}, s.Logout(ctx, in.Body.RefreshToken)
		})
}

// clip bounds what a client says of itself.
func clip(userAgent string) string { return limit.Clip(userAgent, 200) }

type (
	idInput struct {
		ID cutover.ID `path:"id"`
	}
	profileInput   struct{ Body ProfileChange }
	walletInput    struct{ Body WalletClaim }
	signatureInput struct{ Body WalletProof }
)

func (s *Service) profileRoutes(api *web.API) {
	web.Handle(api, routes.Get("/user/profile", "get-profile", "The own account", web.SignedIn),
		func(ctx context.Context, _ *struct{}) (User, error) {
			return s.User(ctx, web.PrincipalFrom(ctx).UserID)
		})
	web.Handle(api, routes.Put("/user/profile", "put-profile", "Change the own account; what is absent stays", web.SignedIn),
		func(ctx context.Context, in *profileInput) (User, error) {
			return s.ChangeProfile(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, routes.Get("/users/profile/{id}", "get-public-profile", "What others see of a user", web.SignedIn),
		func(ctx context.Context, in *idInput) (PublicProfile, error) { return s.PublicProfile(ctx, in.ID) })
	web.Handle(api, routes.Post("/user/wallet/challenge", "challenge-wallet", "A text for a wallet to sign (EIP-191 personal_sign) within five minutes", web.SignedIn),
		func(ctx context.Context, in *walletInput) (WalletChallenge, error) {
			return s.ChallengeWallet(ctx, web.PrincipalFrom(ctx), in.Body)
		})
	web.Handle(api, routes.Post("/user/wallet/verify", "verify-wallet", "Prove that the wallet is the own one", web.SignedIn),
		func(ctx context.Context, in *signatureInput) (Wallet, error) {
			return s.VerifyWallet(ctx, web.PrincipalFrom(ctx), in.Body)
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
	const owner = "own addresses only"
	web.Handle(api, routes.Get("/addresses", "list-addresses", "All own addresses, oldest first", web.SignedIn).Narrowed(owner),
		func(ctx context.Context, _ *struct{}) (web.Page[Address], error) {
			all, err := s.Addresses(ctx, web.PrincipalFrom(ctx))
			return web.Whole(all), err
		})
	web.Handle(api, routes.Post("/addresses", "add-address", "Add an address; the first one is primary", web.SignedIn).Narrowed(owner).Created(), func(ctx context.Context, in *addressInput) (Address, error) {
		return s.AddAddress(ctx, web.PrincipalFrom(ctx), in.Body)
	})
	web.Handle(api, routes.Get("/addresses/{id}", "get-address", "One address", web.SignedIn).Narrowed(owner),
		func(ctx context.Context, in *idInput) (Address, error) {
			return s.Address(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Put("/addresses/{id}", "put-address", "Replace an address", web.SignedIn).Narrowed(owner),
		func(ctx context.Context, in *addressEditInput) (Address, error) {
			return s.ChangeAddress(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Delete("/addresses/{id}", "remove-address", "Remove an address", web.SignedIn).Narrowed(owner),
		func(ctx context.Context, in *idInput) (web.Empty, error) {
			return web.Empty{}, s.RemoveAddress(ctx, web.PrincipalFrom(ctx), in.ID)
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
		Body StatusChange
	}
	roleInput struct {
		ID   cutover.ID `path:"id"`
		Body RoleChange
	}
)

func (s *Service) adminRoutes(api *web.API) {
	web.Handle(api, routes.Post("/admin/users", "create-user", "Make an account that is verified already", admins).Created(), func(ctx context.Context, in *newAccountInput) (User, error) {
		return s.CreateUser(ctx, web.PrincipalFrom(ctx), in.Body)
	})
	web.Handle(api, routes.Get("/admin/users", "list-users", "Accounts, newest first", admins), s.listUsers)
	web.Handle(api, routes.Patch("/admin/users/{id}/status", "set-user-status", "Suspend an account, or let it be used again", admins),
		func(ctx context.Context, in *statusInput) (User, error) {
			return s.SetStatus(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Patch("/admin/users/{id}/role", "set-user-role", "Change what an account may do", admins),
		func(ctx context.Context, in *roleInput) (User, error) {
			return s.SetRole(ctx, web.PrincipalFrom(ctx), in.ID, in.Body)
		})
	web.Handle(api, routes.Delete("/admin/users/{id}", "delete-user", "Erase what is personal and end sign-in; the record stays", admins),
		func(ctx context.Context, in *idInput) (web.Empty, error) {
			return web.Empty{}, s.DeleteUser(ctx, web.PrincipalFrom(ctx), in.ID)
		})
	web.Handle(api, routes.Get("/admin/users/{id}/dependencies", "user-dependencies", "What names this user, and may stand in the way of deleting it", admins),
		func(ctx context.Context, in *idInput) (Dependencies, error) {
			return s.Dependencies(ctx, web.PrincipalFrom(ctx), in.ID)
		})
}

func (s *Service) listUsers(ctx context.Context, in *listUsersInput) (web.Page[User], error) {
	f := Filter{in.Role, in.Status, in.Email}
	return web.List(in.Paging, func(u User) cutover.ID { return u.ID }, func(after cutover.ID, limit int) ([]User, error) {
		return s.Users(ctx, web.PrincipalFrom(ctx), f, after, limit)
	})
}
