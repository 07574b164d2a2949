package traffic

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// reader looks around as members and admins do who change nothing, so that
// every way to read is used all the time.
func (t *Traffic) reader(ctx context.Context, i int) {
	random := rand.New(rand.NewPCG(t.o.Seed, 1<<40+uint64(i)))
	// Each begins elsewhere in the round of lists, so that all are seen soon.
	for n := i * len(adminLists(t.admin)) / readers; ctx.Err() == nil; n++ {
		l := look{t, n}
		seller := t.sellers[random.IntN(len(t.sellers))]
		// What fails is counted by the client; the next look begins afresh.
		_ = l.asMember(ctx, seller)
		_ = l.asAdmin(ctx, seller)
		_ = l.asNobody(ctx)
		pause(ctx, 50*time.Millisecond)
	}
}

// look is one look around, the n-th of its reader.
type look struct {
	t *Traffic
	n int
}

// asMember reads what a member reads all day, and one of the longer lists.
func (l look) asMember(ctx context.Context, m *member) error {
	for _, path := range []string{
		"/api/user/profile", "/api/users/profile/" + l.t.admin.id, "/api/marketplace/categories/tree",
	} {
		if _, err := m.get(ctx, path); err != nil {
			return err
		}
	}
	if err := l.home(ctx, m); err != nil {
		return err
	}
	if l.n%4 != 0 {
		_, err := m.get(ctx, "/api/payment?limit=10")
		return err
	}
	return l.requests(ctx, m)
}

// home reads a member's addresses, and one of them.
func (l look) home(ctx context.Context, m *member) error {
	list, err := m.get(ctx, "/api/addresses")
	if err != nil {
		return err
	}
	for _, a := range list.items()[:min(1, len(list.items()))] {
		if _, err := m.get(ctx, "/api/addresses/"+a.id()); err != nil {
			return err
		}
	}
	return nil
}

// requests pages through what a seller may see, and opens one with its offers.
func (l look) requests(ctx context.Context, m *member) error {
	page, err := m.get(ctx, "/api/marketplace/purchase-requests?limit=5")
	if err != nil {
		return err
	}
	if next := page.get("nextCursor"); next != "" {
		if _, err := m.get(ctx, "/api/marketplace/purchase-requests?limit=5&cursor="+next); err != nil {
			return err
		}
	}
	for _, r := range page.items() {
		// A deal may have closed the request to others in the meantime.
		if _, err := m.get(ctx, "/api/marketplace/purchase-requests/"+r.id()+"/offers", http.StatusNotFound); err != nil {
			return err
		}
	}
	return nil
}

// asAdmin reads one of an admin's lists. They go through whole collections,
// so they take turns.
func (l look) asAdmin(ctx context.Context, someone *member) error {
	lists := adminLists(someone)
	_, err := l.t.admin.get(ctx, lists[l.n%len(lists)])
	return err
}

func adminLists(someone *member) []string {
	return []string{
		"/api/admin/users?limit=5", "/api/payment?limit=5",
		"/api/admin/users/" + someone.id + "/dependencies", "/api/payment/trezor/accounts",
		"/api/admin/users?role=seller&limit=5", "/api/marketplace/purchase-requests?mine=true",
	}
}

// asNobody reads what is public, tries what is not, and signs in now and then.
func (l look) asNobody(ctx context.Context) error {
	if l.n%4 == 1 {
		who := l.n % len(l.t.sellers)
		if err := l.t.sellers[who].loginAgain(ctx, l.t.o.Sellers[who].Password); err != nil {
			return err
		}
	}
	list, err := l.t.client.send(ctx, call{method: "GET", path: "/api/marketplace/categories"})
	if err != nil {
		return err
	}
	paths := []string{"/api/health"}
	if items := list.data.items(); len(items) > 0 {
		paths = append(paths, "/api/marketplace/categories/"+items[0].id())
	}
	for _, path := range paths {
		if _, err := l.t.client.send(ctx, call{method: "GET", path: path}); err != nil {
			return err
		}
	}
	_, err = l.t.client.send(ctx, call{method: "GET", path: "/api/payment", may: []int{http.StatusUnauthorized}})
	return err
}
