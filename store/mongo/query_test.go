package mongo_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/store/mongo"
)

// One process writes three records, always alike, while another one queries
// them, which must never see them otherwise.
func TestAQuerySeesAllOfACommitOrNothing(t *testing.T) {
	t.Parallel()
	writer, bk := newBank(t)
	accounts := []*account{newAccount("same", 0), newAccount("same", 0), newAccount("same", 0)}
	for _, a := range accounts {
		bk.put(t, a)
	}
	begun := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := int64(1); ; n++ {
			if _, more := <-begun; !more {
				return
			}
			time.Sleep(rand.N(4 * time.Millisecond))
			if err := setBalances(t.Context(), writer, accounts, n); err != nil {
				t.Error(err)
			}
		}
	})
	moved := map[int64]bool{}
	for range 400 {
		select {
		case begun <- struct{}{}:
		default: // it is still at the last one
		}
		moved[bk.balanceOfAll(t, "same")] = true
	}
	close(begun)
	writing.Wait()
	if len(moved) < 10 {
		t.Errorf("only %d different balances were seen: nothing was tried", len(moved))
	}
}

// balanceOfAll gives the balance that an owner's three accounts share.
func (b *bank) balanceOfAll(t *testing.T, owner string) int64 {
	t.Helper()
	var found []account
	err := b.View(t.Context(), func(ctx context.Context, tx *mongo.Tx) (err error) {
		found, err = mongo.Find[account](ctx, tx, "account", bson.D{{Key: "owner", Value: owner}}, bson.D{{Key: "_id", Value: 1}}, 0)
		return err
	})
	if err != nil || len(found) != 3 {
		t.Fatalf("found %d accounts, %v; want 3", len(found), err)
	}
	if found[0].Balance != found[1].Balance || found[1].Balance != found[2].Balance {
		t.Errorf("one query gave balances %d, %d and %d", found[0].Balance, found[1].Balance, found[2].Balance)
	}
	return found[0].Balance
}

func setBalances(ctx context.Context, bk *bank, accounts []*account, n int64) error {
	return bk.update(ctx, func(ctx context.Context, tx *mongo.Tx) error {
		for _, a := range accounts {
			now, err := mongo.Get[account](ctx, tx, "account", a.ID)
			if err != nil {
				return err
			}
			now.Balance = n
			if err := tx.Put(ctx, &now); err != nil {
				return err
			}
		}
		return nil
	})
}
