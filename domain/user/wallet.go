package user

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
)

// challengeLife is how long a wallet has to sign.
const challengeLife = 5 * time.Minute

// Wallet is where a user wants to be paid. Only a wallet whose owner has
// signed a challenge with it has VerifiedAt.
type Wallet struct {
	Address    string    `json:"address"` // as EIP-55 writes it
	Chain      string    `json:"chain"`
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
}

// WalletChallenge is a text that waits to be signed, once.
type WalletChallenge struct {
	Address   string    `json:"address"`
	Chain     string    `json:"chain"`
	Message   string    `json:"message"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// WalletClaim names a wallet that a user says is theirs.
type WalletClaim struct {
	Address string `json:"address" pattern:"^0x[0-9a-fA-F]{40}$" patternDescription:"0x and 40 hex digits"`
	Chain   string `json:"chain" pattern:"^[a-z0-9-]{1,32}$" patternDescription:"a chain's name or number" example:"bsc"`
}

// WalletProof is what the wallet makes of the challenge.
type WalletProof struct {
	Signature string `json:"signature" pattern:"^(0x)?[0-9a-fA-F]{130}$" patternDescription:"65 bytes in hex"`
}

func newChallenge(address, chain, nonce string, now time.Time) *WalletChallenge {
	expires := now.Add(challengeLife)
	return &WalletChallenge{
		Address: address, Chain: chain, ExpiresAt: expires,
		Message: fmt.Sprintf("Amanat: confirm that this wallet is yours and that you want to be paid here.\n\n"+
			"Address: %s\nChain: %s\nNonce: %s\nValid until: %s", address, chain, nonce, expires.Format(time.RFC3339)),
	}
}

// address returns the Ethereum address as EIP-55 writes it. One in mixed case
// must have its checksum right. Errors: fault.Invalid.
func (c WalletClaim) address() (string, error) {
	if err := limit.Check(c); err != nil {
		return "", err
	}
	digits := c.Address[2:]
	sum := checksummed(digits)
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && c.Address != sum {
		return "", fault.Field("address", "its checksum is wrong")
	}
	return sum, nil
}

// checksummed writes 40 hex digits as EIP-55 says: a letter is upper case when
// the hash of the lower-case digits has a nibble of 8 or more in its place.
func checksummed(digits string) string {
	out := []byte(strings.ToLower(digits))
	hash := hex.EncodeToString(keccak(out))
	for i, c := range out {
		if c >= 'a' && hash[i] >= '8' {
			out[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(out)
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

// signerOf recovers the address whose key signed message with personal_sign
// (EIP-191, version 0x45). Errors: fault.Invalid naming "signature".
func signerOf(message, signature string) (string, error) {
	sig, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(sig) != 65 {
		return "", fault.Field("signature", "want 65 bytes in hex")
	}
	recovery := sig[64]
	if recovery >= 27 {
		recovery -= 27
	}
	if recovery > 1 {
		return "", fault.Field("signature", "its last byte is none of 0, 1, 27 and 28")
	}
	compact := append([]byte{27 + recovery}, sig[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, personalHash(message))
	if err != nil {
		return "", fault.Field("signature", "is none of this text")
	}
	return checksummed(hex.EncodeToString(keccak(key.SerializeUncompressed()[1:])[12:])), nil
}

func personalHash(message string) []byte {
	return keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(message), message))
}
