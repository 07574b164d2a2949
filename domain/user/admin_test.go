package user_test

import (
	"context"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/web"
)

func account(email string, role user.Role) user.NewAccount {
	return user.NewAccount{Email: email, Password: password, FirstName: "Bob", LastName: "Ray", Role: role}
}

func TestAdministratorsMakeAccounts(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		u := must[user.User](t)(b.CreateUser(t.Context(), b.admin, account(email, user.Resolver)))
		s := must[user.Session](t)(b.Login(t.Context(), user.Credentials{Email: email, Password: password}, agent))
		if s.User.ID != u.ID || s.User.Role != user.Resolver {
			t.Errorf("signed in as %+v", s.User)
		}
		_, err := b.CreateUser(t.Context(), b.admin, account(email, user.Buyer))
		wantKind(t, "the address again", err, fault.Conflict)
		short := account(newEmail(), user.Buyer)
		short.Password = "short"
		_, err = b.CreateUser(t.Context(), b.admin, short)
		wantKind(t, "a short password", err, fault.Invalid)
	})
}

func TestAdministrationIsForAdministrators(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		id := b.join(t, user.Buyer).User.ID
		for _, role := range []string{"", "buyer", "seller", "resolver"} {
			by := web.Principal{UserID: cutover.NewID(), Role: role}
			_, create := b.CreateUser(t.Context(), by, account(newEmail(), user.Admin))
			_, list := b.Users(t.Context(), by, user.Filter{}, cutover.ID{}, 10)
			_, status := b.SetStatus(t.Context(), by, id, user.StatusChange{Status: user.Suspended})
			_, roles := b.SetRole(t.Context(), by, id, user.RoleChange{Role: user.Admin})
			_, deps := b.Dependencies(t.Context(), by, id)
			for i, err := range []error{create, list, status, roles, deps, b.DeleteUser(t.Context(), by, id)} {
				if !fault.Is(err, fault.Forbidden) {
					t.Errorf("%q, call %d: want forbidden, got %v", role, i, err)
				}
			}
		}
	})
}

func TestAdministratorsDoNotTouchThemselves(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		u := must[user.User](t)(b.CreateUser(t.Context(), b.admin, account(newEmail(), user.Admin)))
		me := web.Principal{UserID: u.ID, Role: "admin"}
		_, status := b.SetStatus(t.Context(), me, u.ID, user.StatusChange{Status: user.Suspended})
		_, role := b.SetRole(t.Context(), me, u.ID, user.RoleChange{Role: user.Buyer})
		for _, err := range []error{status, role, b.DeleteUser(t.Context(), me, u.ID)} {
			wantKind(t, "oneself", err, fault.Conflict)
		}
	})
}

func TestStatusAndRoleChange(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		id := b.join(t, user.Buyer).User.ID
		if u := must[user.User](t)(b.SetRole(t.Context(), b.admin, id, user.RoleChange{Role: user.Seller})); u.Role != user.Seller || b.stored(t, id).Role != user.Seller {
			t.Errorf("role: %s", u.Role)
		}
		must[user.User](t)(b.SetStatus(t.Context(), b.admin, id, user.StatusChange{Status: user.Suspended}))
		if u := b.stored(t, id); u.Status != user.Suspended || len(u.RefreshTokens) != 0 {
			t.Errorf("suspended: %s with %d sessions", u.Status, len(u.RefreshTokens))
		}
		_, err := b.SetStatus(t.Context(), b.admin, id, user.StatusChange{Status: user.Deleted})
		wantKind(t, "deleted as a status", err, fault.Invalid)
		_, err = b.SetRole(t.Context(), b.admin, id, user.RoleChange{Role: "king"})
		wantKind(t, "an unknown role", err, fault.Invalid)
		_, err = b.SetRole(t.Context(), b.admin, cutover.NewID(), user.RoleChange{Role: user.Buyer})
		wantKind(t, "nobody", err, fault.NotFound)
	})
}

func TestDeletingTakesWhatIsPersonalAndKeepsTheRecord(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		u := b.join(t, user.Seller).User
		must[user.Address](t)(b.AddAddress(t.Context(), as(u.ID), addressInput()))
		must[user.Address](t)(b.AddAddress(t.Context(), as(u.ID), addressInput()))

		b.ties.set(user.Dependency{Name: "open payments", Count: 1, Blocks: true}, user.Dependency{Name: "reviews", Count: 3})
		deps := must[user.Dependencies](t)(b.Dependencies(t.Context(), b.admin, u.ID))
		if deps.CanDelete || len(deps.Items) != 2 {
			t.Errorf("dependencies: %+v", deps)
		}
		wantKind(t, "with open payments", b.DeleteUser(t.Context(), b.admin, u.ID), fault.Conflict)

		b.ties.set(user.Dependency{Name: "open payments", Blocks: true}, user.Dependency{Name: "reviews", Count: 3})
		if err := b.DeleteUser(t.Context(), b.admin, u.ID); err != nil {
			t.Fatal(err)
		}
		got := b.stored(t, u.ID)
		if got.Status != user.Deleted || got.Email != "" || got.FirstName != "" || got.PasswordHash != "" || got.ReferralCode != "" || got.Role != user.Seller {
			t.Errorf("stored: %+v", got)
		}
		if left := must[[]user.Address](t)(b.Addresses(t.Context(), as(u.ID))); len(left) != 0 {
			t.Errorf("addresses left: %v", left)
		}
		wantKind(t, "once more", b.DeleteUser(t.Context(), b.admin, u.ID), fault.Conflict)
		_, err := b.SetStatus(t.Context(), b.admin, u.ID, user.StatusChange{Status: user.Active})
		wantKind(t, "to bring it back", err, fault.Conflict)
		_, err = b.PublicProfile(t.Context(), u.ID)
		wantKind(t, "its profile", err, fault.NotFound)

		if err := b.Register(t.Context(), registration(u.Email)); err != nil {
			t.Fatal(err)
		}
		s := must[user.Session](t)(b.Verify(t.Context(), user.EmailProof{Email: u.Email, Code: b.post.code(t, u.Email), Password: password}, agent))
		if s.User.ID == u.ID {
			t.Error("the address came back to the deleted account")
		}
	})
}

func TestOtherDomainsAskWhoPeopleAre(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		here, gone, nobody := b.join(t, user.Seller).User.ID, b.join(t, user.Seller).User.ID, cutover.NewID()
		buyer := b.join(t, user.Buyer).User.ID
		if err := b.DeleteUser(t.Context(), b.admin, gone); err != nil {
			t.Fatal(err)
		}
		missing := must[[]cutover.ID](t)(b.MissingSellers(t.Context(), []cutover.ID{here, gone, nobody, buyer}))
		if len(missing) != 3 || missing[0] != gone || missing[1] != nobody || missing[2] != buyer {
			t.Errorf("missing: %v", missing)
		}
		// Tests beside this one make sellers as well.
		listed := map[cutover.ID]bool{}
		for _, p := range must[[]user.PublicProfile](t)(b.Sellers(t.Context(), cutover.ID{}, 1000)) {
			if listed[p.ID] = true; p.Role != user.Seller {
				t.Errorf("%s is listed among sellers", p.Role)
			}
		}
		if !listed[here] || listed[gone] || listed[buyer] {
			t.Errorf("sellers: %v, want %s and neither %s nor %s", listed, here, gone, buyer)
		}
		for _, p := range must[[]user.PublicProfile](t)(b.Sellers(t.Context(), here, 1000)) {
			if p.ID.String() >= here.String() {
				t.Errorf("%s comes after %s", p.ID, here)
			}
		}
		names := must[map[cutover.ID]string](t)(b.Names(t.Context(), []cutover.ID{here, gone, nobody}))
		if len(names) != 2 || names[here] != "Ann Lee" || names[gone] != "Deleted user" {
			t.Errorf("names: %v", names)
		}
	})
}

func TestProfilesShowWhatTheirOwnersAllow(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		id := b.join(t, user.Seller).User.ID
		bio, site, phone, yes, lang := "I sell shoes", "https://example.org", "+98 21 000", true, "fa"
		change := user.ProfileChange{
			Profile:     &user.ProfileFields{Bio: &bio, Website: &site, Phone: &phone},
			Preferences: &user.PreferencesFields{Language: &lang, Notifications: &user.NotificationsFields{SMS: &yes}},
		}
		must[user.User](t)(b.ChangeProfile(t.Context(), as(id), change))
		u := b.stored(t, id)
		if u.Profile.Bio != bio || u.Preferences.Language != lang || u.Preferences.Currency != "USD" || !u.Preferences.Notifications.SMS || !u.Preferences.Notifications.Email {
			t.Errorf("stored: %+v %+v", u.Profile, u.Preferences)
		}
		p := must[user.PublicProfile](t)(b.PublicProfile(t.Context(), id))
		if p.FirstName != "Ann" || p.Role != user.Seller || p.Bio != "" || p.Website != "" {
			t.Errorf("private: %+v", p)
		}
		must[user.User](t)(b.ChangeProfile(t.Context(), as(id), user.ProfileChange{Profile: &user.ProfileFields{IsPublic: &yes}}))
		if p = must[user.PublicProfile](t)(b.PublicProfile(t.Context(), id)); p.Bio != bio || p.Website != site {
			t.Errorf("public: %+v", p)
		}
		bad := "javascript:alert(1)"
		_, err := b.ChangeProfile(t.Context(), as(id), user.ProfileChange{Profile: &user.ProfileFields{Website: &bad}})
		wantKind(t, "a link that is code", err, fault.Invalid)
	})
}

func TestInvariantsCountUsersAndPrimaries(t *testing.T) {
	t.Parallel()
	b := newBundle(t, cutover.Spec{Target: postgresSide(t)})
	id := b.join(t, user.Seller).User.ID
	b.join(t, user.Buyer)
	must[user.Address](t)(b.AddAddress(t.Context(), as(id), addressInput()))
	want := []string{"2 users, 1 buyer, 1 seller, 2 active", "1 addresses of 1 users, 0 without exactly one primary"}
	for i, inv := range user.Invariants {
		got := must[string](t)(cutover.View(t.Context(), b.db, user.QueryList, func(ctx context.Context, tx cutover.Tx) (string, error) {
			return inv.Eval(ctx, tx)
		}))
		if got != want[i] {
			t.Errorf("%s: want %q, got %q", inv.Name, want[i], got)
		}
	}
}
