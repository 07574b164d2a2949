package chain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
)

// BasePath is where an Account's extended public key sits in its wallet
// (BIP-44: purpose 44', coin Ethereum, account 0').
const BasePath = "m/44'/60'/0'"

const (
	basePathDepth = 3
	externalChain = 0
)

// ErrPrivateKey refuses an extended private key: the server must never hold
// one.
var ErrPrivateKey = errors.New("this is an extended private key (xprv); register the public one (xpub), and treat this key as exposed")

// Account derives addresses from an extended public key at BasePath. It can
// receive and never spend.
type Account struct {
	xpub     string
	external *hdkeychain.ExtendedKey
	print    string
}

// ParseAccount reads an extended public key of depth 3 and child 0'. It fails
// with ErrPrivateKey on a private one.
func ParseAccount(xpub string) (*Account, error) {
	key, err := hdkeychain.NewKeyFromString(xpub)
	if err != nil {
		return nil, fmt.Errorf("not an extended public key: %w", err)
	}
	if key.IsPrivate() {
		return nil, ErrPrivateKey
	}
	if key.Depth() != basePathDepth || key.ChildIndex() != hdkeychain.HardenedKeyStart {
		return nil, fmt.Errorf("the key must be the one at %s", BasePath)
	}
	external, err := key.Derive(externalChain)
	if err != nil {
		return nil, fmt.Errorf("derive the external chain: %w", err)
	}
	print, err := fingerprint(key)
	if err != nil {
		return nil, err
	}
	return &Account{xpub: key.String(), external: external, print: print}, nil
}

func fingerprint(key *hdkeychain.ExtendedKey) (string, error) {
	pub, err := key.ECPubKey()
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	return hex.EncodeToString(btcutil.Hash160(pub.SerializeCompressed())[:4]), nil
}

// XPub returns the key in its canonical text.
func (a *Account) XPub() string { return a.xpub }

// Fingerprint returns the BIP-32 fingerprint of the key: 8 hex digits.
func (a *Account) Fingerprint() string { return a.print }

// Address derives the address at external chain 0, index, with EIP-55
// checksum, and its full path.
func (a *Account) Address(index int64) (address, path string, err error) {
	if index < 0 || index > math.MaxInt32 {
		return "", "", fmt.Errorf("address index %d: want 0 to %d", index, math.MaxInt32)
	}
	child, err := a.external.Derive(uint32(index))
	if err != nil {
		return "", "", fmt.Errorf("derive index %d: %w", index, err)
	}
	pub, err := child.ECPubKey()
	if err != nil {
		return "", "", fmt.Errorf("public key at index %d: %w", index, err)
	}
	hash := Keccak256(pub.SerializeUncompressed()[1:])
	address, err = Checksum("0x" + hex.EncodeToString(hash[12:]))
	return address, fmt.Sprintf("%s/%d/%d", BasePath, externalChain, index), err
}
