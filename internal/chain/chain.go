// Package chain holds what Amanat knows about block chains without asking
// one: networks and their tokens, how many confirmations make money final,
// addresses and their checksums, addresses derived from an extended public
// key, and payment references. It does no input or output.
package chain

import (
	"strings"

	"github.com/amanat-dev/amanat/internal/money"
	"github.com/shopspring/decimal"
)

// Network is one block chain.
type Network struct {
	ID   int64  // EIP-155 chain id; for Tron and TON the id that they use themselves
	Name string // lower case, such as "bsc"
	// Floor is the least number of confirmations after which money counts as
	// arrived. Settings may only raise it.
	Floor int64
	// Tokens are those that can be paid with on this network, to an address
	// derived from an Ethereum extended public key. None: not payable yet.
	Tokens []Token
}

// Token is a stablecoin's contract on one network.
type Token struct {
	Symbol   string // "USDC" or "USDT"
	Address  string // the contract, with EIP-55 checksum
	Decimals int32  // its smallest unit is 10^-Decimals
}

// networks are in the order in which they are listed to people. The contract
// addresses are the issuers' own, except on BSC, where both tokens are
// Binance-pegged and have 18 decimals.
var networks = []Network{
	{ID: 56, Name: "bsc", Floor: 200, Tokens: []Token{
		{"USDC", "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", 18},
		{"USDT", "0x55d398326f99059fF775485246999027B3197955", 18},
	}},
	{ID: 1, Name: "ethereum", Floor: 50, Tokens: []Token{
		{"USDC", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 6},
		{"USDT", "0xdAC17F958D2ee523a2206206994597C13D831ec7", 6},
	}},
	{ID: 137, Name: "polygon", Floor: 300, Tokens: []Token{
		{"USDC", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", 6},
		{"USDT", "0xc2132D05D31c914a87C6611C10748AEb04B58e8F", 6},
	}},
	{ID: 42161, Name: "arbitrum", Floor: 2400, Tokens: []Token{
		{"USDC", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", 6},
		{"USDT", "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9", 6},
	}},
	{ID: 8453, Name: "base", Floor: 300, Tokens: []Token{
		{"USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", 6},
		{"USDT", "0xfde4C96c8593536E31F229EA8f37b2ADa2699bb2", 6},
	}},
	{ID: 728126428, Name: "tron", Floor: 200},
	{ID: -239, Name: "ton", Floor: 120},
}

// Networks returns all networks, payable or not.
func Networks() []Network { return append([]Network(nil), networks...) }

// NetworkOf finds a network by its chain id.
func NetworkOf(chainID int64) (Network, bool) {
	for _, n := range networks {
		if n.ID == chainID {
			return n, true
		}
	}
	return Network{}, false
}

// Token finds a token of the network by its symbol or its contract address,
// in any case of letters.
func (n Network) Token(symbolOrAddress string) (Token, bool) {
	for _, t := range n.Tokens {
		if strings.EqualFold(t.Symbol, symbolOrAddress) || strings.EqualFold(t.Address, symbolOrAddress) {
			return t, true
		}
	}
	return Token{}, false
}

// UnitsUp turns an amount of the token into its smallest units, rounded up.
func (t Token) UnitsUp(a money.Amount) money.Units {
	return money.UnitsOfBig(a.Decimal().Shift(t.Decimals).Ceil().BigInt())
}

// Amount turns the token's smallest units into an amount, exactly.
func (t Token) Amount(u money.Units) money.Amount {
	return money.AmountOf(decimal.NewFromBigInt(u.Big(), -t.Decimals))
}
