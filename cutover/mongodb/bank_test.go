package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/devstack"
)

// A bank is a domain for the tests of commits: accounts, and transfers between
// them, each an Update of two accounts and a new record.

type account struct {
	cutover.Meta
	Owner   string `json:"owner"`
	Balance int64  `json:"balance"`
	Email   string `json:"email" field:",null"`
	Group   string `json:"group"`
	Desk    string `json:"desk"` // unique among the accounts of a group
}

type transfer struct {
	cutover.Meta
	Amount int64 `json:"amount"`
}

var bankDefinition = cutover.Definition{Name: "bank", Kinds: cutover.Kinds{
	{
		Name: "account", Type: reflect.TypeFor[account](), Collection: "accounts",
		Unique: []cutover.Unique{{Fields: query.Index{"email"}}, cutover.UniqueKey("Desk", func(a *account) string {
			if a.Desk == "" {
				return ""
			}
			return a.Group + "/" + a.Desk
		})},
		Indexes: []query.Index{{"owner"}},
	},
	{Name: "transfer", Type: reflect.TypeFor[transfer](), Collection: "transfers"},
}}

type bank struct {
	cutover.Side
	db    *mongodb.DB
	guard cutover.Guard
}

// openBank opens one process's handle of a database.
func openBank(t *testing.T, name string) *bank {
	t.Helper()
	return openBankAt(t, devstack.Shared(t).Mongo.URI(), name)
}

func openBankAt(t *testing.T, uri, name string) *bank {
	t.Helper()
	db, err := mongodb.Open(t.Context(), uri, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	return bankOn(t, db)
}

func bankOn(t *testing.T, db *mongodb.DB) *bank {
	side := db.Side(bankDefinition)
	return &bank{side, db, cutover.Guard{Domain: "bank", Epoch: 3, Process: t.Name()}}
}

// newBank makes a database and returns two handles, as of two processes.
func newBank(t *testing.T) (a, b *bank) {
	t.Helper()
	name := devstack.Shared(t).NewMongoDatabase(t)
	a, b = openBank(t, name), openBank(t, name)
	if err := a.db.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

var errCrash = errors.New("the process dies here")

// crashAt makes the handle's process die before its nth write from now.
func (b *bank) crashAt(n int) {
	b.db.OnStep(func(string) error {
		if n--; n < 0 {
			return errCrash
		}
		return nil
	})
}

// steps counts the writes of do.
func (b *bank) steps(do func() error) (names []string, err error) {
	b.db.OnStep(func(name string) error {
		names = append(names, name)
		return nil
	})
	err = do()
	b.db.OnStep(func(string) error { return nil })
	return names, err
}

func (b *bank) update(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	return b.Update(ctx, b.guard, fn)
}

func (b *bank) put(t *testing.T, records ...cutover.Record) {
	t.Helper()
	if err := b.tryPut(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func (b *bank) tryPut(ctx context.Context, records ...cutover.Record) error {
	return b.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bank) account(t *testing.T, id cutover.ID) (account, error) {
	t.Helper()
	var a account
	err := b.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		a, err = cutover.Get[account](ctx, tx, id)
		return err
	})
	return a, err
}

// owned returns the emails of the accounts that have an owner, by query.
func (b *bank) owned(t *testing.T, owner string, limit int) []string {
	t.Helper()
	var out []string
	err := b.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		found, err := cutover.Find[account](ctx, tx, query.Eq("owner", owner).OrderByDesc("balance").Limit(limit))
		for _, a := range found {
			out = append(out, a.Email)
		}
		if err != nil || limit > 0 {
			return err
		}
		n, err := cutover.Count[account](ctx, tx, query.Eq("owner", owner))
		if err == nil && n != int64(len(found)) {
			return fmt.Errorf("Count gave %d of %s, Find %d", n, owner, len(found))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leftovers returns how many documents are locked, and how many commit records
// are not over.
func (b *bank) leftovers(t *testing.T) (locked, open int64) {
	t.Helper()
	for _, name := range []string{"accounts", "transfers"} {
		n, err := b.db.Raw(name).CountDocuments(t.Context(), bson.D{{Key: "_lockCommit", Value: bson.D{{Key: "$exists", Value: true}}}})
		if err != nil {
			t.Fatal(err)
		}
		locked += n
	}
	open, err := b.db.Raw("cutover_commits").CountDocuments(t.Context(), bson.D{{Key: "settled", Value: false}})
	if err != nil {
		t.Fatal(err)
	}
	return locked, open
}

func (b *bank) wantClean(t *testing.T) {
	t.Helper()
	if locked, open := b.leftovers(t); locked != 0 || open != 0 {
		t.Errorf("%d documents are locked and %d commits open, want none", locked, open)
	}
}

// impatient makes a handle take every pending commit for abandoned.
func (b *bank) impatient() { b.db.SetPatience(300*time.Millisecond, 0) }

func email(id cutover.ID) string { return id.String() + "@example.org" }

func newAccount(owner string, balance int64) *account {
	id := cutover.NewID()
	return &account{Meta: cutover.Meta{ID: id}, Owner: owner, Balance: balance, Email: email(id)}
}
