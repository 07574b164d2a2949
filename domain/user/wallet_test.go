package user_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
)

// purse is a key, and signs as wallets do.
type purse struct{ key *secp256k1.PrivateKey }

func newPurse(t *testing.T) purse {
	return purse{must[*secp256k1.PrivateKey](t)(secp256k1.GeneratePrivateKey())}
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

func (p purse) address() string {
	return "0x" + hex.EncodeToString(keccak(p.key.PubKey().SerializeUncompressed()[1:])[12:])
}

func (p purse) sign(message string) string {
	hash := keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(message), message))
	compact := ecdsa.SignCompact(p.key, hash, false)
	return "0x" + hex.EncodeToString(append(compact[1:], compact[0]))
}

func TestOnlyItsOwnerVerifiesAWallet(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me, p := b.join(t, user.Seller).User.ID, newPurse(t)
		_, _, err := b.VerifiedWallet(t.Context(), me)
		wantKind(t, "without a wallet", err, fault.Conflict)
		_, err = b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign("anything")})
		wantKind(t, "without a challenge", err, fault.Conflict)

		c := must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "bsc"}))
		_, err = b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: newPurse(t).sign(c.Message)})
		wantKind(t, "signed by another", err, fault.Invalid)
		_, err = b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(c.Message)})
		wantKind(t, "the challenge once more", err, fault.Conflict)

		c = must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "bsc"}))
		w := must[user.Wallet](t)(b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(c.Message)}))
		address, chain, err := b.VerifiedWallet(t.Context(), me)
		if err != nil || address != w.Address || address != c.Address || chain != "bsc" || w.VerifiedAt.IsZero() {
			t.Errorf("got %s on %s, %v; verified %+v", address, chain, err, w)
		}
	})
}

func TestAChallengeIsForFiveMinutesAndTheNewestCounts(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me, p := b.join(t, user.Seller).User.ID, newPurse(t)
		first := must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "1"}))
		must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "1"}))
		_, err := b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(first.Message)})
		wantKind(t, "a replaced challenge", err, fault.Invalid)
		c := must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "1"}))
		b.clock.pass(5 * time.Minute)
		_, err = b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(c.Message)})
		wantKind(t, "an old challenge", err, fault.Conflict)
		_, _, err = b.VerifiedWallet(t.Context(), cutover.NewID())
		wantKind(t, "nobody's wallet", err, fault.NotFound)
	})
}

func TestAFailedVerificationKeepsTheWalletThatWas(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me, p, q := b.join(t, user.Seller).User.ID, newPurse(t), newPurse(t)
		c := must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: p.address(), Chain: "bsc"}))
		w := must[user.Wallet](t)(b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(c.Message)}))
		c = must[user.WalletChallenge](t)(b.ChallengeWallet(t.Context(), as(me), user.WalletClaim{Address: q.address(), Chain: "bsc"}))
		_, err := b.VerifyWallet(t.Context(), as(me), user.WalletProof{Signature: p.sign(c.Message)})
		wantKind(t, "signed by the old one", err, fault.Invalid)
		if address, _, err := b.VerifiedWallet(t.Context(), me); err != nil || address != w.Address {
			t.Errorf("got %s, %v", address, err)
		}
	})
}
