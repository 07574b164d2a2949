package seed

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/internal/chain"
)

func TestTheSameSeedMakesTheSameData(t *testing.T) {
	t.Parallel()
	a, b, other := world1(t, 1), world1(t, 1), world1(t, 2)
	for name := range a.documents {
		if !bytes.Equal(all(t, a, name), all(t, b, name)) {
			t.Errorf("%s: want the same documents of the same seed", name)
		}
	}
	if bytes.Equal(all(t, a, "users"), all(t, other, "users")) {
		t.Error("want other users of another seed")
	}
}

func TestOldShapesAreAmongTheDocuments(t *testing.T) {
	t.Parallel()
	w := world1(t, 1)
	var text strings.Builder
	for name := range w.documents {
		for _, d := range w.documents[name] {
			raw, err := bson.MarshalExtJSON(d, true, false)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(raw)
		}
	}
	for what, sample := range map[string]string{
		"money as doubles":     `"amount":{"$numberDouble":`,
		"money as integers":    `"amount":{"$numberInt":`,
		"references as text":   `"buyerId":"`,
		"version counters":     `"__v":{"$numberInt":`,
		"unknown fields":       `"migratedFrom":{`,
		"the old offer status": `"status":"active","attachments"`,
		"made-up request ids":  `"purchaseRequestId":"template-checkout-`,
		"an old provider":      `"provider":"decentralized"`,
	} {
		if !strings.Contains(text.String(), sample) {
			t.Errorf("want %s: %s", what, sample)
		}
	}
	if w.cast.Legacy == 0 {
		t.Error("want documents of an old shape counted")
	}
}

func TestEveryLedgerEntryBalances(t *testing.T) {
	t.Parallel()
	for _, d := range world1(t, 1).documents["fundsledgerentries"] {
		sum := new(big.Int)
		for _, p := range field(d, "postings").(bson.A) {
			n, ok := new(big.Int).SetString(field(p.(bson.D), "amount").(string), 10)
			if !ok {
				t.Fatalf("no amount in %v", p)
			}
			sum.Add(sum, n)
		}
		if sum.Sign() != 0 {
			t.Errorf("entry %v sums to %s", field(d, "idempotencyKey"), sum)
		}
	}
}

func TestTheWalletKeyIsWhatItSays(t *testing.T) {
	t.Parallel()
	account, err := chain.ParseAccount(xpub)
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := account.Address(0)
	if err != nil || first != firstAddress || account.Fingerprint() != fingerprint {
		t.Errorf("want %s and %s, got %s and %s, %v", firstAddress, fingerprint, first, account.Fingerprint(), err)
	}
}

func world1(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(Options{Users: 100, Seed: seed})
	w.build()
	return w
}

// all returns a collection's documents as bytes.
func all(t *testing.T, w *world, collection string) []byte {
	t.Helper()
	raw, err := bson.Marshal(bson.D{{Key: "all", Value: w.documents[collection]}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func field(d bson.D, name string) any {
	for _, e := range d {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}
