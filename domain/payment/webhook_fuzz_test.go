package payment_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// till is a payment domain in memory with one payment.
type till struct{ db *memdb.DB }

// stored returns the records of a type as they are now.
func stored[T any](t *testing.T, till *till) []T {
	t.Helper()
	var found []T
	err := till.db.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		found, err = cutover.Find[T](ctx, tx, query.All())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// writes counts revisions: each write makes one.
func (till *till) writes(t *testing.T) int {
	revisions := int(stored[payment.Payment](t, till)[0].Rev) - 1
	return revisions + len(stored[payment.Entry](t, till)) + len(stored[payment.Delivery](t, till)) + len(stored[payment.Hold](t, till))
}

const (
	tillSecret    = "the secret of the one payment"
	tillReference = "0x00112233445566ff"
)

func newTill() (*till, *payment.Service) {
	expected := money.MustUnits(allUnits)
	p := payment.Payment{
		Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, BuyerID: cutover.NewID(), SellerID: cutover.NewID(), PurchaseRequestID: cutover.NewID(),
		Status: payment.Pending, Direction: payment.DirectionIn, ExpectedUnits: &expected, CallbackSecret: tillSecret,
		Blockchain: &payment.Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", PaymentReference: tillReference,
			TokenAddress: "0x55d398326f99059fF775485246999027B3197955", Destination: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"},
	}
	t := &till{memdb.New("till", payment.Kinds)}
	t.db.Seed(payment.KindPayment, &p)
	domain, err := cutover.Solo(cutover.Spec{Definition: payment.Definition, Source: t.db})
	if err != nil {
		panic(err)
	}
	s, err := payment.New(payment.Deps{DB: domain, Deals: &deals{}, Wallets: wallets{}})
	if err != nil {
		panic(err)
	}
	return t, s
}

// callbackSeeds are bodies of callbacks: a good one, and it with one field or
// the whole of it spoilt.
func callbackSeeds() []string {
	good := `{"paymentReference":"` + tillReference + `","txHash":"` + hash(1) + `","blockNumber":1000,"confirmations":200,` +
		`"amount":"` + allUnits + `","token":"USDT","chainId":56,"status":"confirmed"}`
	seeds := []string{
		good, good + " ", good + "{}", good + "]", "[" + good + "]", "\ufeff" + good, strings.ToUpper(good), strings.TrimSuffix(good, "}"),
		"", "null", "{}", "[]", `"x"`, "1", "{", "\x00", "\xff\xfe", strings.Repeat("[", 11000), `{"paymentReference":"` + tillReference + `"}`,
		`{"paymentReference":null}`, `{"paymentReference":["` + tillReference + `"]}`,
	}
	for _, change := range []string{
		`"paymentReference":"0xother"`, `"paymentReference":null`, `"PaymentReference":"` + tillReference + `"`, `"txHash":"0x1"`, `"txHash":"` + strings.ToUpper(hash(2)) + `"`,
		`"amount":1`, `"amount":"-1"`, `"amount":"0"`, `"amount":"1e18"`, `"amount":"0x10"`, `"amount":"1.0"`, `"amount":"` + strings.Repeat("9", 38) + `"`, `"amount":"` + strings.Repeat("9", 39) + `"`,
		`"confirmations":-1`, `"confirmations":1.5`, `"confirmations":9223372036854775807`, `"confirmations":9223372036854775808`, `"confirmations":5`, `"blockNumber":null`,
		`"chainId":1`, `"chainId":"56"`, `"token":"USDC"`, `"token":"0x55D398326F99059FF775485246999027B3197955"`, `"token":""`, `"status":"failed"`, `"status":"REVERTED"`, `"status":"done"`,
		`"destination":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8"`, `"destination":"0x1"`, `"destination":""`, `"logIndex":3`, `"logIndex":-3`, `"extra":1`, `"token":"` + strings.Repeat("x", 201) + `"`,
	} {
		seeds = append(seeds, strings.TrimSuffix(good, "}")+","+change+"}") // of two the last one counts
	}
	return seeds
}

// FuzzDeliver sends bodies and signatures to the webhook. Without the right
// signature nothing is accepted and nothing written; with it, the ledger
// balances, and a repeat changes nothing.
func FuzzDeliver(f *testing.F) {
	for _, body := range callbackSeeds() {
		right := payment.Sign(tillSecret, []byte(body))
		f.Add([]byte(body), "", true)
		for _, signature := range []string{"", right[:63], right + "0", " " + right, "sha256=" + right, payment.Sign("", []byte(body)), payment.Sign("other", []byte(body))} {
			f.Add([]byte(body), signature, false)
		}
	}
	f.Add([]byte(callbackSeeds()[0]), strings.ToUpper(payment.Sign(tillSecret, []byte(callbackSeeds()[0]))), false)
	f.Fuzz(func(t *testing.T, raw []byte, signature string, sign bool) {
		till, service := newTill()
		right := payment.Sign(tillSecret, raw)
		if sign {
			signature = right
		}
		receipt, err := service.Deliver(t.Context(), raw, signature)
		kind := fault.KindOf(err)
		switch {
		case err != nil && (till.writes(t) > 0 || receipt != (payment.Receipt{})):
			t.Fatalf("refused with %v, but %d records were written", err, till.writes(t))
		case !strings.EqualFold(signature, right) && kind != fault.Unauthenticated:
			t.Fatalf("a wrong signature %q gave %v", signature, err)
		case err != nil && kind != fault.Unauthenticated && kind != fault.Invalid:
			t.Fatalf("a first callback gave %v", err)
		case err == nil:
			wantTakenIn(t, till, raw)
			before := till.writes(t)
			again, err := service.Deliver(t.Context(), raw, signature)
			if err != nil || !again.Repeated || till.writes(t) != before {
				t.Fatalf("the repeat gave %+v, %v, and %d more records", again, err, till.writes(t)-before)
			}
		}
	})
}

func wantTakenIn(t *testing.T, till *till, raw []byte) {
	t.Helper()
	c, err := payment.ParseCallback(raw)
	if err != nil {
		t.Fatalf("accepted, but: %v", err)
	}
	entries, deliveries := stored[payment.Entry](t, till), stored[payment.Delivery](t, till)
	if c.Amount.Sign() <= 0 || c.ChainID != 56 || c.Confirmations < 0 || !json.Valid(raw) || len(deliveries) != 1 {
		t.Fatalf("accepted %+v with %d deliveries", c, len(deliveries))
	}
	if booked := len(entries) == 1; booked != (c.Confirmations >= 200 && !c.Failed()) || len(entries) > 1 {
		t.Fatalf("%+v made %d entries", c, len(entries))
	}
	for i := range entries {
		e := &entries[i]
		if err := e.Normalize(); err != nil {
			t.Fatal(err)
		}
		p := stored[payment.Payment](t, till)[0]
		if !e.On(payment.CustodyAccount(p.Blockchain.Destination)).Equal(c.Amount.Neg()) ||
			!e.On(payment.EscrowAccount(p.ID)).Add(e.On(payment.BuyerAccount(p.BuyerID))).Equal(c.Amount) ||
			e.On(payment.EscrowAccount(p.ID)).Cmp(*p.ExpectedUnits) > 0 || !p.EscrowBalance.Equal(e.On(payment.EscrowAccount(p.ID))) {
			t.Fatalf("%+v was booked as %+v", c, e)
		}
	}
}

// FuzzParseCallback reads bodies alone: what is read says nothing that the
// checks rule out, and means the same when it is written again.
func FuzzParseCallback(f *testing.F) {
	for _, body := range callbackSeeds() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := payment.ParseCallback(raw)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("want an invalid body, got %v", err)
			}
			return
		}
		again, err := json.Marshal(map[string]any{
			"paymentReference": c.PaymentReference, "txHash": c.TxHash, "logIndex": c.LogIndex, "blockNumber": c.BlockNumber, "confirmations": c.Confirmations,
			"amount": c.Amount, "token": c.Token, "chainId": c.ChainID, "status": c.Status,
		})
		if err != nil {
			t.Fatal(err)
		}
		same, err := payment.ParseCallback(again)
		same.Destination = c.Destination
		id := cutover.NewID()
		if err != nil || same.Key(id) != c.Key(id) || same.PaymentReference != c.PaymentReference || same.Token != c.Token || c.Amount.Sign() <= 0 {
			t.Fatalf("%s is read as %+v, which is read as %+v, %v", raw, c, same, err)
		}
		if slices.Min([]int64{c.LogIndex, c.BlockNumber, c.Confirmations}) < 0 {
			t.Fatalf("negative figures were read: %+v", c)
		}
	})
}
