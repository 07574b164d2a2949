package mongodb_test

import (
	"slices"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestScratchIsApartHoldsRulesAndGoes(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	live := storetest.SideOn(t, db, user.Definition)
	store, drop, err := db.Scratch(user.Definition)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		names, err := db.Names(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return !slices.Contains(names, mongodb.ScratchName(store))
	}
	one := &user.User{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, Email: "a@example.org"}
	two := &user.User{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, Email: "a@example.org"}
	items := func(u *user.User) []cutover.Item {
		return []cutover.Item{{Key: cutover.Key{Kind: "user", ID: u.ID}, Rev: 1, Record: u}}
	}
	if err := store.Load(t.Context(), "user", items(one)); err != nil {
		t.Fatal(err)
	}
	if errs, err := store.Apply(t.Context(), items(two), cutover.ApplyOptions{}); err != nil || errs[0] == nil {
		t.Errorf("two users of one e-mail address are in: %v %v", errs, err)
	}
	if n, err := live.Count(t.Context(), "user"); err != nil || n != 0 {
		t.Errorf("%d users in the live database, %v", n, err)
	}
	if gone() {
		t.Error("the scratch database is not listed")
	}
	if err := drop(t.Context()); err != nil || !gone() {
		t.Errorf("the scratch database is not dropped: %v", err)
	}
}

func TestStaleScratch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, want := range map[string]bool{
		mongodb.ScratchPrefix + cutover.NewIDAt(now).String():                    false,
		mongodb.ScratchPrefix + cutover.NewIDAt(now.Add(-23*time.Hour)).String(): false,
		mongodb.ScratchPrefix + cutover.NewIDAt(now.Add(-25*time.Hour)).String(): true,
		"amanat_scratch_" + cutover.NewIDAt(now.Add(-25*time.Hour)).String():     true,
		"shop": false, mongodb.ScratchPrefix + "old": false, cutover.NewIDAt(now.Add(-25 * time.Hour)).String(): false,
	} {
		if got := mongodb.StaleScratch(name, now); got != want {
			t.Errorf("%s: stale is %v, want %v", name, got, want)
		}
	}
}
