package chain

import (
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"
)

// Keccak256 is the hash that Ethereum uses (SHA-3 before its final padding).
func Keccak256(data []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(data)
	return h.Sum(nil)
}

// Checksum returns an Ethereum address (0x and 40 hex digits in any case) in
// the mixed case of EIP-55.
func Checksum(address string) (string, error) {
	digits := strings.ToLower(strings.TrimPrefix(address, "0x"))
	if _, err := hex.DecodeString(digits); err != nil || len(digits) != 40 || len(address) != 42 {
		return "", fmt.Errorf("address %.50q: want 0x and 40 hex digits", address)
	}
	hash := hex.EncodeToString(Keccak256([]byte(digits)))
	out := []byte(digits)
	for i, c := range out {
		if c >= 'a' && hash[i] >= '8' {
			out[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(out), nil
}

// SameAddress says that two texts name the same Ethereum address.
func SameAddress(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

// IsTxHash says that s looks like an Ethereum transaction hash: 0x and 64 hex
// digits.
func IsTxHash(s string) bool {
	digits, prefixed := strings.CutPrefix(s, "0x")
	if !prefixed || len(digits) != 64 {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// Reference returns the reference that ties a transfer to an intent: the last 8
// bytes, in hex, of keccak256 over the lower-case text of intent id, salt and
// destination. It is how Request Network's proxy contracts compute theirs.
func Reference(intentID, salt, destination string) string {
	sum := Keccak256([]byte(strings.ToLower(intentID + salt + destination)))
	return hex.EncodeToString(sum[len(sum)-8:])
}
