package chain

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"errors"
	"testing"

	"github.com/amanat-dev/amanat/internal/money"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
)

// junk is the mnemonic of the Ethereum development tools, whose addresses are
// widely published.
const junk = "test test test test test test test test test test test junk"

func accountKey(t *testing.T, mnemonic string, path ...uint32) *hdkeychain.ExtendedKey {
	t.Helper()
	seed, err := pbkdf2.Key(sha512.New, mnemonic, []byte("mnemonic"), 2048, 64)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hdkeychain.NewMaster(seed, &chaincfg.MainNetParams)
	for _, index := range path {
		if err != nil {
			t.Fatal(err)
		}
		key, err = key.Derive(hdkeychain.HardenedKeyStart + index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(t *testing.T, key *hdkeychain.ExtendedKey) string {
	t.Helper()
	pub, err := key.Neuter()
	if err != nil {
		t.Fatal(err)
	}
	return pub.String()
}

func TestAddressesAreThoseOfThePublishedWallet(t *testing.T) {
	t.Parallel()
	xpub := public(t, accountKey(t, junk, 44, 60, 0))
	account, err := ParseAccount(xpub)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("xpub %s, fingerprint %s", account.XPub(), account.Fingerprint())
	want := []string{
		"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
		"0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
		"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
	}
	for i, w := range want {
		got, path, err := account.Address(int64(i))
		if err != nil || got != w {
			t.Errorf("index %d: got %s at %s, %v; want %s", i, got, path, err, w)
		}
	}
}

func TestAnExtendedPrivateKeyIsRefused(t *testing.T) {
	t.Parallel()
	key := accountKey(t, junk, 44, 60, 0)
	if _, err := ParseAccount(key.String()); !errors.Is(err, ErrPrivateKey) {
		t.Fatalf("got %v, want ErrPrivateKey", err)
	}
}

func TestAKeyFromAnotherPathIsRefused(t *testing.T) {
	t.Parallel()
	for _, path := range [][]uint32{{}, {44, 60}, {44, 60, 1}, {44, 60, 0, 0}} {
		if _, err := ParseAccount(public(t, accountKey(t, junk, path...))); err == nil {
			t.Errorf("the key at %v was taken", path)
		}
	}
	for _, bad := range []string{"", "xpub", "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet9"} {
		if _, err := ParseAccount(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestAnIndexOutsideTheRangeIsRefused(t *testing.T) {
	t.Parallel()
	account, err := ParseAccount(public(t, accountKey(t, junk, 44, 60, 0)))
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []int64{-1, 1 << 31, 1 << 40} {
		if _, _, err := account.Address(index); err == nil {
			t.Errorf("index %d was taken", index)
		}
	}
}

func TestChecksumIsThatOfEIP55(t *testing.T) {
	t.Parallel()
	// The test vectors of EIP-55 itself.
	for _, want := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7",
		"0xde709f2102306220921060314715629080e2fb77",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	} {
		if got, err := Checksum(want); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	for _, bad := range []string{"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "0xzaAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"} {
		if _, err := Checksum(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestTokenAddressesCarryTheirChecksum(t *testing.T) {
	t.Parallel()
	for _, n := range Networks() {
		for _, token := range n.Tokens {
			if got, err := Checksum(token.Address); err != nil || got != token.Address {
				t.Errorf("%s on %s: %s should be %s (%v)", token.Symbol, n.Name, token.Address, got, err)
			}
		}
	}
}

func TestReferenceIsThatOfTheTestVector(t *testing.T) {
	t.Parallel()
	const want = "a0098add01acc736"
	if got := Reference("01847474747474", "8d03ea7", "0x000001"); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got := Reference("01847474747474", "8D03EA7", "0X000001"); got != want {
		t.Fatalf("upper case: got %s, want %s", got, want)
	}
}

func TestFloorsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	want := map[string]int64{"bsc": 200, "ethereum": 50, "polygon": 300, "arbitrum": 2400, "base": 300, "tron": 200, "ton": 120}
	for _, n := range Networks() {
		if n.Floor != want[n.Name] {
			t.Errorf("%s: floor %d, want %d", n.Name, n.Floor, want[n.Name])
		}
	}
}

func TestUnitsRoundUp(t *testing.T) {
	t.Parallel()
	six, eighteen := Token{Decimals: 6}, Token{Decimals: 18}
	for _, c := range []struct {
		token  Token
		amount string
		want   string
	}{
		{six, "1", "1000000"},
		{six, "1.0000001", "1000001"},
		{six, "0.0000000000001", "1"},
		{eighteen, "12.5", "12500000000000000000"},
	} {
		if got := c.token.UnitsUp(money.MustAmount(c.amount)); got.String() != c.want {
			t.Errorf("%s with %d decimals: got %s, want %s", c.amount, c.token.Decimals, got, c.want)
		}
	}
	if got := six.Amount(money.UnitsOf(1500000)); got.String() != "1.5" {
		t.Errorf("got %s, want 1.5", got)
	}
}

func TestIsTxHash(t *testing.T) {
	t.Parallel()
	ok := "0x" + "ab12" + "00000000000000000000000000000000000000000000000000000000" + "FFFF"
	if !IsTxHash(ok) {
		t.Errorf("%s was refused", ok)
	}
	for _, bad := range []string{"", ok[2:], ok[:65], ok + "0", "0x" + ok[3:] + "g"} {
		if IsTxHash(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}
