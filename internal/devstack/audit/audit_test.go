package audit

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// paymentKind is the kind that most tests compare.
var paymentKind = kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "payment" })]

func TestALegacyDocumentAndItsRowAreTheSame(t *testing.T) {
	t.Parallel()
	id, buyer := bson.NewObjectID(), bson.NewObjectID()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	doc := document(t, paymentKind, bson.D{
		{Key: "_id", Value: id},
		{Key: "purchaseRequestId", Value: "template-checkout-7"},
		{Key: "buyerId", Value: buyer.Hex()},
		{Key: "amount", Value: bson.D{{Key: "amount", Value: 19.9}, {Key: "currency", Value: "USDT"}}},
		{Key: "status", Value: "failed"},
		{Key: "createdAt", Value: at},
		{Key: "__v", Value: int32(3)},
		{Key: "old", Value: bson.D{{Key: "row", Value: int32(5)}}},
		{Key: "_note", Value: true},
		{Key: "_uPending", Value: "y"},
	})
	row := row(t, `{"id": "`+id.Hex()+`", "rev": 0, "buyer_id": "`+buyer.Hex()+`", "amount_amount": 19.90,
		"amount_currency": "USDT", "status": "failed", "escrow_state": "", "legacy_reference": "template-checkout-7",
		"created_at": "2026-01-02T03:04:05.678+00:00", "expires_at": null, "key_pending": "x",
		"extra": {"__v": {"$numberInt": "3"}, "old": {"row": {"$numberInt": "5"}}}}`)
	if d := differing(doc, row); len(d) > 0 {
		t.Errorf("want no difference, got %q", d)
	}
}

func TestEachSortOfDifferenceIsFound(t *testing.T) {
	t.Parallel()
	doc := document(t, kind{}, bson.D{{Key: "title", Value: "a"}, {Key: "price", Value: bson.D{{Key: "amount", Value: "10"}}},
		{Key: "shippedAt", Value: time.UnixMilli(1_700_000_000_123)}, {Key: "rev", Value: int64(4)},
		{Key: "tags", Value: bson.A{"x", "y"}}, {Key: "unknown", Value: "u"}})
	const same = `{"title": "a", "price_amount": 10, "shipped_at": "2023-11-14T22:13:20.123+00:00", "rev": 4, "tags": ["x", "y"], "extra": {"unknown": "u"}}`
	if d := differing(doc, row(t, same)); len(d) > 0 {
		t.Fatalf("want no difference to begin with, got %q", d)
	}
	for name, change := range map[string][2]string{
		"another text":        {`"title": "a"`, `"title": "A"`},
		"one unit more":       {`"price_amount": 10`, `"price_amount": 11`},
		"money that is lost":  {`"price_amount": 10`, `"price_amount": null`},
		"a cut millisecond":   {`20.123+00`, `20.000+00`},
		"a stale revision":    {`"rev": 4`, `"rev": 3`},
		"swapped elements":    {`["x", "y"]`, `["y", "x"]`},
		"a lost element":      {`["x", "y"]`, `["x"]`},
		"a lost extra field":  {`{"unknown": "u"}`, `null`},
		"something invented":  {`"rev": 4`, `"rev": 4, "notes": "n"`},
		"a flag that was set": {`"rev": 4`, `"rev": 4, "is_primary": true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(same, change[0], change[1], 1)
			if d := differing(doc, row(t, changed)); len(d) == 0 {
				t.Error("want a difference, got none")
			}
		})
	}
}

func TestMissingMoneyIsNotZero(t *testing.T) {
	t.Parallel()
	if d := differing(record{}, row(t, `{"price_amount": 0}`)); len(d) != 1 {
		t.Errorf("want one difference, got %q", d)
	}
	if d := differing(record{}, row(t, `{"quantity": 0, "is_active": false, "notes": ""}`)); len(d) != 0 {
		t.Errorf("want no difference between nothing and its columns' values, got %q", d)
	}
}

func TestRecordsOfOneSideAloneAreCounted(t *testing.T) {
	t.Parallel()
	r := &Report{}
	r.compare(paymentKind, map[string]record{"a": {}, "b": {}}, map[string]record{"b": {}, "c": {}})
	if r.Differences() != 2 {
		t.Errorf("want 2 differences, got %d: %q", r.Differences(), r.Kinds[0].Samples)
	}
}

func TestALostWriteIsFound(t *testing.T) {
	t.Parallel()
	all := records{"address": {"1": {"street": {text: "New"}}, "2": {}}, "payment": {}}
	for name, c := range map[string]struct {
		fact Fact
		lost int
	}{
		"what holds":            {Fact{Kind: "address", ID: "1", Fields: map[string][]string{"street": {"Old", "New"}}}, 0},
		"a value that is not":   {Fact{Kind: "address", ID: "1", Fields: map[string][]string{"street": {"Old"}}}, 1},
		"a record that is not":  {Fact{Kind: "address", ID: "3"}, 1},
		"a removal that is not": {Fact{Kind: "address", ID: "2", Gone: true}, 1},
		"a removal that is":     {Fact{Kind: "address", ID: "3", Gone: true}, 0},
		"a kind not looked at":  {Fact{Kind: "user", ID: "1"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if lost := c.fact.missingIn(all); len(lost) != c.lost {
				t.Errorf("want %d lost, got %q", c.lost, lost)
			}
		})
	}
}

func TestAnEntryThatIsMissingOrThereTwiceIsFound(t *testing.T) {
	t.Parallel()
	fact := Fact{Kind: "payment", ID: "p", Entries: []Entry{{"deposit", "5"}}}
	once := map[string]record{"1": entry("p", "deposit", "5")}
	for name, c := range map[string]struct {
		entries map[string]record
		lost    int
	}{
		"once":    {once, 0},
		"missing": {nil, 1},
		"twice":   {map[string]record{"1": entry("p", "deposit", "5"), "2": entry("p", "deposit", "5")}, 1},
		"less":    {map[string]record{"1": entry("p", "deposit", "4")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lost := fact.missingIn(records{"payment": {"p": {}}, "funds_ledger_entry": c.entries})
			if len(lost) != c.lost {
				t.Errorf("want %d lost, got %q", c.lost, lost)
			}
		})
	}
}

func TestAnEntryAskedForWithoutAnAnswerMayBeThereOnce(t *testing.T) {
	t.Parallel()
	fact := Fact{Kind: "payment", ID: "p", Entries: []Entry{{"deposit", "5"}}, Maybe: []Entry{{"release", "5"}}}
	deposit, release := entry("p", "deposit", "5"), entry("p", "release", "5")
	for name, c := range map[string]struct {
		entries map[string]record
		lost    int
	}{
		"not there":              {map[string]record{"1": deposit}, 0},
		"there":                  {map[string]record{"1": deposit, "2": release}, 0},
		"there twice":            {map[string]record{"1": deposit, "2": release, "3": release}, 1},
		"without the other":      {map[string]record{"2": release}, 1},
		"with one never ordered": {map[string]record{"1": deposit, "2": entry("p", "refund", "5")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lost := fact.missingIn(records{"payment": {"p": {}}, "funds_ledger_entry": c.entries})
			if len(lost) != c.lost {
				t.Errorf("want %d lost, got %q", c.lost, lost)
			}
		})
	}
}

func TestARecordAskedForOnceIsFoundTwice(t *testing.T) {
	t.Parallel()
	lamp, chair := record{"product_title": {text: "lamp"}}, record{"product_title": {text: "chair"}}
	all := records{"purchase_request": {"1": lamp, "2": chair, "3": lamp}}
	for title, want := range map[string]int{"lamp": 1, "chair": 0, "table": 0} {
		o := Options{Sole: []Sole{{"purchase_request", "product.title", title}}}
		if s := examine("MongoDB", all, o); len(s.Twice) != want {
			t.Errorf("%s: want %d found twice, got %q", title, want, s.Twice)
		}
	}
}

func TestALedgerOffBalanceIsFound(t *testing.T) {
	t.Parallel()
	deposit := entry("p", "deposit", "5")
	crooked := entry("p", "deposit", "5")
	crooked["postings_0_amount"] = value{text: "-4"}
	for name, c := range map[string]struct {
		all   records
		wrong int
	}{
		"in order":             {ledger("funded", deposit), 0},
		"an entry off balance": {ledger("funded", crooked), 1},
		"held, says a payment": {ledger("funded"), 1},
		"released, not posted": {ledger("released", deposit), 1},
		"nobody's escrow":      {records{"payment": {"q": {}}, "funds_ledger_entry": {"1": deposit}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if l := balance(c.all); len(l.Unbalanced) != c.wrong {
				t.Errorf("want %d wrong, got %q", c.wrong, l.Unbalanced)
			}
		})
	}
}

func document(t *testing.T, k kind, d bson.D) record {
	t.Helper()
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var stored bson.D
	if err := bson.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	r := fromDocument(stored)
	if k.legacy != nil {
		k.legacy(r)
	}
	return r
}

func row(t *testing.T, text string) record {
	t.Helper()
	r, err := fromRow([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entry moves units into a payment's escrow.
func entry(payment, typ, units string) record {
	return record{"payment_id": {text: payment}, "type": {text: typ}, "asset_token": {text: "USDT"},
		"postings_0_account": {text: "custody:x"}, "postings_0_amount": {text: "-" + units},
		"postings_1_account": {text: "escrow:" + payment}, "postings_1_amount": {text: units}}
}

// ledger is payment p in that state, with these entries.
func ledger(state string, entries ...record) records {
	all := records{"payment": {"p": {"escrow_state": {text: state}}}, "funds_ledger_entry": {}}
	for i, e := range entries {
		all["funds_ledger_entry"][string(rune('a'+i))] = e
	}
	return all
}
