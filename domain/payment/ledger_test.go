package payment

import (
	"math/big"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

var usdt = Asset{ChainID: 56, Token: "USDT"}

func TestAnEntryThatIsOffBalanceCannotBeMade(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOfN(rapid.Int64Range(-1_000_000, 1_000_000), 0, 6).Draw(t, "amounts")
		sum, kept := int64(0), 0
		var postings []Posting
		for _, n := range amounts {
			sum += n
			if n != 0 {
				kept++
			}
			postings = append(postings, Posting{AccountFees, money.UnitsOf(n)})
		}
		_, err := NewEntry("key", EntryAdjustment, cutover.ID{}, usdt, postings...)
		if balanced := sum == 0 && kept >= 2; balanced != (err == nil) {
			t.Fatalf("sum %d of %d postings: got %v", sum, kept, err)
		}
	})
}

func TestAnEntryNeedsAKeyATypeAnAssetAndKnownAccounts(t *testing.T) {
	t.Parallel()
	good := []Posting{{AccountFees, money.UnitsOf(1)}, {AccountSuspense, money.UnitsOf(-1)}}
	for name, make := range map[string]func() (Entry, error){
		"no key":        func() (Entry, error) { return NewEntry("", EntryFee, cutover.ID{}, usdt, good...) },
		"unknown type":  func() (Entry, error) { return NewEntry("k", "gift", cutover.ID{}, usdt, good...) },
		"no asset":      func() (Entry, error) { return NewEntry("k", EntryFee, cutover.ID{}, Asset{}, good...) },
		"no postings":   func() (Entry, error) { return NewEntry("k", EntryFee, cutover.ID{}, usdt) },
		"odd account":   func() (Entry, error) { return entryOn("wallet:1") },
		"ownerless":     func() (Entry, error) { return entryOn("escrow:") },
		"owned fees":    func() (Entry, error) { return entryOn("fees:me") },
		"empty account": func() (Entry, error) { return entryOn("") },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: the entry was made", name)
		}
	}
	if _, err := entryOn("in-transit:1"); err != nil {
		t.Error(err)
	}
}

func entryOn(account string) (Entry, error) {
	return NewEntry("k", EntryFee, cutover.ID{}, usdt, Posting{account, money.UnitsOf(1)}, Posting{AccountFees, money.UnitsOf(-1)})
}

func TestSameContentLooksAtEverythingButTheIdentity(t *testing.T) {
	t.Parallel()
	one, err := entryOn("buyer:1")
	if err != nil {
		t.Fatal(err)
	}
	same := one
	same.Meta = cutover.Meta{ID: cutover.NewID(), Rev: 3}
	if !one.SameContent(&same) {
		t.Error("an entry differs from its copy")
	}
	for name, change := range map[string]func(*Entry){
		"key":     func(e *Entry) { e.IdempotencyKey = "other" },
		"type":    func(e *Entry) { e.Type = EntrySweep },
		"payment": func(e *Entry) { e.PaymentID = cutover.NewID() },
		"asset":   func(e *Entry) { e.Asset.ChainID = 1 },
		"account": func(e *Entry) { e.Postings = []Posting{{"buyer:2", money.UnitsOf(1)}, e.Postings[1]} },
		"amount":  func(e *Entry) { e.Postings = []Posting{{"buyer:1", money.UnitsOf(2)}, e.Postings[1]} },
		"reason":  func(e *Entry) { e.Reason = "other" },
		"number":  func(e *Entry) { e.Postings = e.Postings[:1] },
	} {
		other := one
		change(&other)
		if one.SameContent(&other) {
			t.Errorf("another %s counts as the same", name)
		}
	}
}

// newPayment returns a pending payment of 100 units.
func newPayment(expected int64) *Payment {
	return &Payment{
		Meta:    cutover.Meta{ID: cutover.NewID()},
		BuyerID: cutover.NewID(), SellerID: cutover.NewID(), PurchaseRequestID: cutover.NewID(),
		Status: Pending, Direction: DirectionIn, Provider: ProviderRequestNetwork,
		ExpectedUnits: unitsPtr(money.UnitsOf(expected)), EscrowBalance: new(money.Units),
		Blockchain: &Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", Destination: "0xAbC",
			TokenAddress: "0x55d398326f99059fF775485246999027B3197955", ConfirmationsRequired: 200},
	}
}

// TestWhateverHappensTheLedgerBalancesAndEscrowIsNeverBelowZero plays random
// deposits, reservations and confirmations on one payment and compares with
// the ledger that they make.
func TestWhateverHappensTheLedgerBalancesAndEscrowIsNeverBelowZero(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &ledgerModel{p: newPayment(rapid.Int64Range(1, 1000).Draw(t, "expected")), accounts: map[string]*big.Int{}}
		t.Repeat(map[string]func(*rapid.T){
			"deposit": m.deposit,
			"done":    func(*rapid.T) { m.p.DealDone() },
			"cancel":  func(*rapid.T) { m.p.Cancel() },
			"release": func(t *rapid.T) { m.reserve(t, PayRelease) },
			"refund":  func(t *rapid.T) { m.reserve(t, PayRefund) },
			"confirm": m.confirm,
			"give up": m.giveUp,
			"adjust":  m.adjust,
			"":        m.check,
		})
	})
}

type ledgerModel struct {
	p        *Payment
	accounts map[string]*big.Int
	entries  []Entry
	tx       int
}

func (m *ledgerModel) post(e Entry) {
	m.entries = append(m.entries, e)
	for _, p := range e.Postings {
		addTo(m.accounts, p.Account, p.Amount.Big())
	}
}

func (m *ledgerModel) hash() string {
	m.tx++
	return "0x" + money.UnitsOf(int64(m.tx)).String()
}

func (m *ledgerModel) deposit(t *rapid.T) {
	c := Callback{TxHash: m.hash(), ChainID: 56, Amount: money.UnitsOf(rapid.Int64Range(1, 1500).Draw(t, "units"))}
	split := m.p.Receives(c.Amount, *m.p.EscrowBalance)
	e, err := DepositEntry(m.p, &c, split)
	if err != nil {
		t.Fatal(err)
	}
	m.p.Deposit(split, *m.p.EscrowBalance)
	m.post(e)
}

func (m *ledgerModel) reserve(t *rapid.T, kind PayoutKind) {
	r := Reservation{Kind: kind, FeeBps: rapid.Int64Range(0, bpsOne).Draw(t, "fee")}
	if rapid.Bool().Draw(t, "part") {
		r.Units = unitsPtr(money.UnitsOf(rapid.Int64Range(-5, 1200).Draw(t, "units")))
	}
	before := *m.p
	if err := m.p.Reserve(r, *m.p.EscrowBalance); err != nil && m.p.EscrowState != before.EscrowState {
		t.Fatalf("a refused %s changed the payment: %v", kind, err)
	}
}

func (m *ledgerModel) confirm(t *rapid.T) {
	if m.p.Payout == nil {
		t.Skip("nothing is under way")
	}
	hash := m.hash()
	e, err := m.p.PayoutEntry(hash)
	if err != nil {
		t.Fatal(err)
	}
	m.p.FinishPayout(hash)
	m.post(e)
}

func (m *ledgerModel) giveUp(t *rapid.T) {
	if m.p.Payout == nil {
		t.Skip("nothing is under way")
	}
	if err := m.p.CancelPayout(m.p.Payout.Kind); err != nil {
		t.Fatal(err)
	}
}

func (m *ledgerModel) adjust(t *rapid.T) {
	places := []Place{AtCustody, AtEscrow, AtBuyer, AtSeller, AtFees, AtSuspense, AtInTransit}
	a := Adjustment{
		From: rapid.SampledFrom(places).Draw(t, "from"), To: rapid.SampledFrom(places).Draw(t, "to"),
		Amount: money.AmountOf(decimal.New(rapid.Int64Range(1, 600).Draw(t, "units"), -18)), IdempotencyKey: m.hash(),
	}
	if a.From == a.To {
		t.Skip("it moves nothing")
	}
	e, err := m.p.adjustmentEntry(a)
	if err != nil {
		t.Fatal(err)
	}
	if covered(m.entries, &e) != nil {
		return
	}
	if _, err := m.p.adjusted(a, e.Postings[1].Amount, *m.p.EscrowBalance); err == nil {
		m.post(e)
	}
}

func (m *ledgerModel) check(t *rapid.T) {
	sum := new(big.Int)
	for _, n := range m.accounts {
		sum.Add(sum, n)
	}
	if sum.Sign() != 0 {
		t.Fatalf("the ledger is off balance by %s: %v", sum, m.accounts)
	}
	escrow := m.accounts[EscrowAccount(m.p.ID)]
	if escrow == nil {
		escrow = new(big.Int)
	}
	if own := m.p.EscrowBalance.Big(); own.Cmp(escrow) != 0 || own.Sign() < 0 || own.Cmp(m.p.ExpectedUnits.Big()) > 0 {
		t.Fatalf("escrow: payment says %s, postings say %s, expected are %s", own, escrow, m.p.ExpectedUnits)
	}
	if held := m.p.EscrowState.Held(); held != (escrow.Sign() > 0) {
		t.Fatalf("escrow state %q with %s in escrow", m.p.EscrowState, escrow)
	}
	if reserved := m.p.Payout != nil; reserved != (m.p.EscrowState == Releasing || m.p.EscrowState == Refunding) {
		t.Fatalf("escrow state %q with payout %v", m.p.EscrowState, m.p.Payout)
	}
}
