package payment

import (
	"errors"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// The key at m/44'/60'/0' of the mnemonic "test test … junk", whose addresses
// Ethereum's development tools publish, and the private one of the same path.
const (
	testXPub  = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP"
	testFirst = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	testXPrv  = "xprv9s21ZrQH143K3D8TXfvAJgHVfTEeQNW5Ys9wZtnUZkqPzFzSjbEJrWC1vZ4GnXCvR7rQL2UFX3RSuYeU9MrERm1XBvACow7c36vnz5iyYj2"
)

func TestAnAccountIsMadeFromAnXPub(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"", testFirst, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"} {
		a, err := NewTrezorAccount(TrezorDraft{testXPub, given, "safe"})
		if err != nil || a.RegistrationAddress != testFirst || a.BasePath != "m/44'/60'/0'" || a.NextAddressIndex != 1 || a.Fingerprint == "" {
			t.Fatalf("given %q: got %+v, %v", given, a, err)
		}
	}
}

func TestABadKeyIsRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][3]string{
		"an xprv":         {testXPrv, "", "xpub"},
		"nothing":         {"", "", "xpub"},
		"a typing error":  {testXPub[:100] + "x" + testXPub[101:], "", "xpub"},
		"another address": {testXPub, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "registrationAddress"},
	} {
		_, err := NewTrezorAccount(TrezorDraft{c[0], c[1], ""})
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[c[2]] == "" {
			t.Errorf("%s: got %v, want an error about %s", name, err, c[2])
		}
	}
}

func TestDerivingCountsUpAndNeverGivesTheRegistrationAddress(t *testing.T) {
	t.Parallel()
	a, err := NewTrezorAccount(TrezorDraft{XPub: testXPub})
	if err != nil {
		t.Fatal(err)
	}
	a.NextAddressIndex = 0 // as a legacy record may have it
	want := []string{"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"}
	for i, w := range want {
		d, err := a.Derive(cutover.NewID(), 56)
		if err != nil || d.Address != w || d.DerivationIndex != int64(i+1) || d.Status != DestinationActive {
			t.Fatalf("got %+v, %v; want %s", d, err, w)
		}
	}
	if a.NextAddressIndex != 3 {
		t.Errorf("the counter is at %d, want 3", a.NextAddressIndex)
	}
}
