package payment

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

const someHash = "0x00000000000000000000000000000000000000000000000000000000000000ab"

func callbackFields() map[string]any {
	return map[string]any{
		"paymentReference": "a0098add01acc736", "txHash": someHash, "blockNumber": 17, "confirmations": 3,
		"amount": "100", "token": "USDT", "chainId": 56, "status": "confirming",
	}
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestACallbackIsRead(t *testing.T) {
	t.Parallel()
	c, err := ParseCallback(asJSON(t, callbackFields()))
	if err != nil {
		t.Fatal(err)
	}
	if c.Amount.String() != "100" || c.LogIndex != 0 || c.Destination != "" || c.ChainID != 56 || c.Confirmations != 3 {
		t.Fatalf("got %+v", c)
	}
}

func TestABadCallbackIsRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	for field, bad := range map[string][]any{
		"paymentReference": {nil, "", 7, strings.Repeat("x", 201)},
		"txHash":           {nil, "", "0xab", strings.Repeat("z", 66), 7},
		"blockNumber":      {nil, -1, "17", 1.5},
		"confirmations":    {nil, -1, "3"},
		"amount":           {nil, "", "0", "-1", "1.5", "1e3", 100, "x", strings.Repeat("9", 39)},
		"token":            {nil, "", 1},
		"chainId":          {nil, "56"},
		"status":           {nil, "", "great"},
		"logIndex":         {-1, "0"},
		"destination":      {"", 5},
		"extra":            {1},
	} {
		for _, v := range bad {
			fields := callbackFields()
			if fields[field] = v; v == nil {
				delete(fields, field)
			}
			_, err := ParseCallback(asJSON(t, fields))
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[field] == "" {
				t.Errorf("%s = %v: got %v", field, v, err)
			}
		}
	}
	for _, raw := range []string{"", "null x", "[]", "7", "{", `{}{}`} {
		if _, err := ParseCallback([]byte(raw)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v", raw, err)
		}
	}
}

// Which of two amounts is meant, the scanner has to say.
func TestACallbackThatCanBeReadInTwoWaysIsRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	good := string(asJSON(t, callbackFields()))
	for field, raw := range map[string]string{
		"amount": good[:len(good)-1] + `,"amount":"1"}`,
		"AMOUNT": good[:len(good)-1] + `,"AMOUNT":"1"}`,
		"token":  strings.Replace(good, "USDT", "\xff", 1),
		"status": strings.Replace(good, "confirming", `\u0000`, 1),
	} {
		_, err := ParseCallback([]byte(raw))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[field] == "" {
			t.Errorf("%s: got %v", raw, err)
		}
	}
}

func TestACallbackMustConcernThePaymentsTokenChainAndDestination(t *testing.T) {
	t.Parallel()
	p := newPayment(100)
	for name, c := range map[string]struct {
		change func(*Callback)
		fields []string
	}{
		"right":            {func(*Callback) {}, nil},
		"token by address": {func(c *Callback) { c.Token = strings.ToLower(p.Blockchain.TokenAddress) }, nil},
		"token in lower":   {func(c *Callback) { c.Token = "usdt" }, nil},
		"same destination": {func(c *Callback) { c.Destination = "0xABC" }, nil},
		"other token":      {func(c *Callback) { c.Token = "USDC" }, []string{"token"}},
		"unknown token":    {func(c *Callback) { c.Token = "DOGE" }, []string{"token"}},
		"other chain":      {func(c *Callback) { c.ChainID = 1 }, []string{"chainId"}},
		"other place":      {func(c *Callback) { c.Destination = "0xDEF" }, []string{"destination"}},
		"all wrong":        {func(c *Callback) { c.ChainID, c.Token, c.Destination = 1, "X", "Y" }, []string{"chainId", "destination", "token"}},
	} {
		cb := Callback{ChainID: 56, Token: "USDT"}
		c.change(&cb)
		err := cb.Concerns(p)
		var f *fault.Error
		got := []string(nil)
		if errors.As(err, &f) {
			got = slices.Sorted(maps.Keys(f.Fields))
		}
		if !slices.Equal(got, c.fields) {
			t.Errorf("%s: got %v, want %v", name, err, c.fields)
		}
	}
}

func TestTheKeyTellsDeliveriesApart(t *testing.T) {
	t.Parallel()
	id := cutover.NewID()
	one, err := ParseCallback(asJSON(t, callbackFields()))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{one.Key(id): true}
	for _, change := range []func(*Callback){
		func(c *Callback) { c.Confirmations++ },
		func(c *Callback) { c.Status = "confirmed" },
		func(c *Callback) { c.BlockNumber++ },
		func(c *Callback) { c.LogIndex++ },
		func(c *Callback) { c.Amount = c.Amount.Add(c.Amount) },
	} {
		c := one
		change(&c)
		keys[c.Key(id)] = true
	}
	keys[one.Key(cutover.NewID())] = true
	if len(keys) != 7 {
		t.Errorf("7 deliveries have %d keys", len(keys))
	}
	same := one
	if same.Key(id) != one.Key(id) {
		t.Error("a repeat has another key")
	}
}

func TestOnlyTheSecretSigns(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"a":1}`)
	good := Sign("secret", raw)
	if !signedBy("secret", raw, good) || !signedBy("secret", raw, strings.ToUpper(good)) {
		t.Error("the right signature was refused")
	}
	for name, ok := range map[string]bool{
		"other secret":     signedBy("Secret", raw, good),
		"other body":       signedBy("secret", []byte(`{"a": 1}`), good),
		"cut":              signedBy("secret", raw, good[:62]),
		"empty":            signedBy("secret", raw, ""),
		"no secret":        signedBy("", raw, Sign("", raw)),
		"the dummy secret": signedBy("", raw, Sign(dummySecret, raw)),
	} {
		if ok {
			t.Errorf("%s: was accepted", name)
		}
	}
}

// The vector of RFC 4231, test case 2.
func TestTheSignatureIsHMACSHA256(t *testing.T) {
	t.Parallel()
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := Sign("Jefe", []byte("what do ya want for nothing?")); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
