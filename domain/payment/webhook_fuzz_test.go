package payment_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/fault"
	"github.com/amanat-dev/amanat/money"
)

// till is a payment domain in memory with one payment: what taking in a
// callback needs. Anything else that is asked of it panics.
type till struct {
	cutover.Side[payment.Tx]
	payment    payment.Payment
	entries    []payment.Entry
	deliveries []payment.Delivery
	holds      []payment.Hold
	writes     int
}

type tillTx struct {
	payment.Tx
	t    *till
	puts *[]cutover.Record
}

func (t *till) Name() string { return "till" }

func (t *till) View(ctx context.Context, fn func(context.Context, payment.Tx) error) error {
	return fn(ctx, tillTx{t: t})
}

func (t *till) Update(ctx context.Context, _ cutover.Guard, fn func(context.Context, payment.Tx) error) error {
	var puts []cutover.Record
	if err := fn(ctx, tillTx{t: t, puts: &puts}); err != nil {
		return err
	}
	for _, r := range puts {
		t.writes++
		switch r := r.(type) {
		case *payment.Payment:
			t.payment = *r
		case *payment.Entry:
			t.entries = append(t.entries, *r)
		case *payment.Delivery:
			t.deliveries = append(t.deliveries, *r)
		case *payment.Hold:
			t.holds = append(t.holds, *r)
		}
	}
	return nil
}

func notThere() error { return fault.New(fault.NotFound, "not there") }

// first gives the first that fits.
func first[T any](list []T, fits func(*T) bool) (T, error) {
	for i := range list {
		if fits(&list[i]) {
			return list[i], nil
		}
	}
	var none T
	return none, notThere()
}

func (x tillTx) Put(_ context.Context, r cutover.Record) error {
	*x.puts = append(*x.puts, r)
	return nil
}

func (x tillTx) Payment(_ context.Context, id cutover.ID) (payment.Payment, error) {
	if id != x.t.payment.ID {
		return payment.Payment{}, notThere()
	}
	p, chain := x.t.payment, *x.t.payment.Blockchain
	p.Blockchain = &chain
	return p, nil
}

func (x tillTx) PaymentByReference(ctx context.Context, reference string) (payment.Payment, error) {
	if reference == "" || reference != x.t.payment.Reference() {
		return payment.Payment{}, notThere()
	}
	return x.Payment(ctx, x.t.payment.ID)
}

func (x tillTx) Quote(context.Context, cutover.ID) (payment.Quote, error) {
	return payment.Quote{}, notThere()
}

func (x tillTx) LedgerEntry(_ context.Context, key string) (payment.Entry, error) {
	return first(x.t.entries, func(e *payment.Entry) bool { return e.IdempotencyKey == key })
}

func (x tillTx) LedgerOfPayment(context.Context, cutover.ID) ([]payment.Entry, error) {
	return x.t.entries, nil
}

func (x tillTx) Delivery(_ context.Context, key string) (payment.Delivery, error) {
	return first(x.t.deliveries, func(d *payment.Delivery) bool { return d.Key == key })
}

const (
	tillSecret    = "the secret of the one payment"
	tillReference = "0x00112233445566ff"
)

func newTill() (*till, *payment.Service) {
	expected := money.MustUnits(allUnits)
	t := &till{payment: payment.Payment{
		Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, BuyerID: cutover.NewID(), SellerID: cutover.NewID(), PurchaseRequestID: cutover.NewID(),
		Status: payment.Pending, Direction: payment.DirectionIn, ExpectedUnits: &expected, CallbackSecret: tillSecret,
		Blockchain: &payment.Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", PaymentReference: tillReference,
			TokenAddress: "0x55d398326f99059fF775485246999027B3197955", Destination: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"},
	}}
	domain := cutover.Solo(cutover.Spec[payment.Tx]{Name: payment.Domain, Kinds: payment.Kinds, Queries: payment.Queries, Source: t})
	return t, payment.NewService(domain, nil, nil, payment.Options{})
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
		case err != nil && (till.writes > 0 || receipt != (payment.Receipt{})):
			t.Fatalf("refused with %v, but %d records were written", err, till.writes)
		case !strings.EqualFold(signature, right) && kind != fault.Unauthenticated:
			t.Fatalf("a wrong signature %q gave %v", signature, err)
		case err != nil && kind != fault.Unauthenticated && kind != fault.Invalid:
			t.Fatalf("a first callback gave %v", err)
		case err == nil:
			wantTakenIn(t, till, raw)
			before := till.writes
			again, err := service.Deliver(t.Context(), raw, signature)
			if err != nil || !again.Repeated || till.writes != before {
				t.Fatalf("the repeat gave %+v, %v, and %d more records", again, err, till.writes-before)
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
	if c.Amount.Sign() <= 0 || c.ChainID != 56 || c.Confirmations < 0 || !json.Valid(raw) || len(till.deliveries) != 1 {
		t.Fatalf("accepted %+v with %d deliveries", c, len(till.deliveries))
	}
	if booked := len(till.entries) == 1; booked != (c.Confirmations >= 200 && !c.Failed()) || len(till.entries) > 1 {
		t.Fatalf("%+v made %d entries", c, len(till.entries))
	}
	for i := range till.entries {
		e := &till.entries[i]
		if err := e.Normalize(); err != nil {
			t.Fatal(err)
		}
		p := &till.payment
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
