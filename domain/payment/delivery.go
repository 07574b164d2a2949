package payment

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	v1 "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Delivery is a callback of the scanner that was taken in, remembered so that
// a repeat changes nothing.
type Delivery struct {
	cutover.Meta
	// Key tells deliveries apart: see Callback.Key.
	Key           string      `json:"key" field:"key,null"`
	PaymentID     cutover.ID  `json:"paymentId" field:",ref=payment"`
	TxHash        string      `json:"txHash"`
	LogIndex      int64       `json:"logIndex"`
	BlockNumber   int64       `json:"blockNumber"`
	Confirmations int64       `json:"confirmations"`
	Amount        money.Units `json:"amount"`
	Token         string      `json:"token"`
	ChainID       int64       `json:"chainId"`
	Status        string      `json:"status"`
}

// Callback is what the scanner says about one transfer.
type Callback struct {
	PaymentReference string
	TxHash           string // lower case
	LogIndex         int64  // which transfer of the transaction; 0 when the scanner does not say
	BlockNumber      int64
	Confirmations    int64
	Amount           money.Units
	Token            string // symbol or contract address
	ChainID          int64
	Destination      string // "" when the scanner does not say: the reference stands for it
	Status           string
}

// Words of the scanner for how a transfer stands. Only failure is believed
// from the word; success is what the confirmations say.
var (
	callbackAlive  = []string{"pending", "detected", "seen", "processing", "confirming", "confirmed", "completed", "finalized"}
	callbackFailed = []string{"failed", "reverted", "orphaned"}
)

// Failed says that the transfer did not happen after all.
func (c *Callback) Failed() bool { return slices.Contains(callbackFailed, c.Status) }

// callbackBody is the wire form. Pointers tell missing from zero.
type callbackBody struct {
	PaymentReference *string `json:"paymentReference"`
	TxHash           *string `json:"txHash"`
	LogIndex         *int64  `json:"logIndex"`
	BlockNumber      *int64  `json:"blockNumber"`
	Confirmations    *int64  `json:"confirmations"`
	Amount           *string `json:"amount"`
	Token            *string `json:"token"`
	ChainID          *int64  `json:"chainId"`
	Destination      *string `json:"destination"`
	Status           *string `json:"status"`
}

// ParseCallback reads a callback strictly: no unknown field, none twice, no
// missing one except logIndex and destination, nothing after the object.
// Errors: fault.Invalid naming the fields.
func ParseCallback(raw []byte) (Callback, error) {
	var b callbackBody
	if err := json.Unmarshal(raw, &b, json.RejectUnknownMembers(true)); err != nil {
		return Callback{}, bodyFault(raw, err)
	}
	return b.callback()
}

// bodyFault names the field that does not decode, without the decoder's text.
func bodyFault(raw []byte, err error) error {
	var wrong *json.SemanticError
	if !errors.As(err, &wrong) {
		return cmp.Or(web.CheckJSON(raw), error(fault.Field("body", "is not one JSON object")))
	}
	field := cmp.Or(wrong.JSONPointer.LastToken(), "body")
	if errors.Is(err, json.ErrUnknownName) {
		return fault.Field(field, "is not a field of a callback")
	}
	return fault.Field(field, "has the wrong type")
}

func (b *callbackBody) callback() (Callback, error) {
	v := checks{}
	c := Callback{
		PaymentReference: v.text("paymentReference", b.PaymentReference),
		TxHash:           strings.ToLower(v.text("txHash", b.TxHash)),
		BlockNumber:      v.count("blockNumber", b.BlockNumber),
		Confirmations:    v.count("confirmations", b.Confirmations),
		Token:            v.text("token", b.Token),
		Status:           strings.ToLower(v.text("status", b.Status)),
	}
	if b.LogIndex != nil {
		c.LogIndex = v.count("logIndex", b.LogIndex)
	}
	if b.Destination != nil {
		c.Destination = v.text("destination", b.Destination)
	}
	if b.ChainID == nil {
		v.add("chainId", "is required")
	} else {
		c.ChainID = *b.ChainID
	}
	c.Amount = v.units("amount", b.Amount)
	if c.TxHash != "" && !chain.IsTxHash(c.TxHash) {
		v.add("txHash", "want 0x and 64 hex digits")
	}
	if c.Status != "" && !slices.Contains(callbackAlive, c.Status) && !c.Failed() {
		v.add("status", "is not a status of a transfer")
	}
	return c, v.fault()
}

// checks collects what is wrong with the fields of a body.
type checks map[string]string

func (v checks) add(field, what string) { v[field] = what }

const maxCallbackText = 200

func (v checks) text(field string, s *string) string {
	switch {
	case s == nil || *s == "":
		v.add(field, "is required")
	case len(*s) > maxCallbackText:
		v.add(field, "is too long")
	default:
		return *s
	}
	return ""
}

func (v checks) count(field string, n *int64) int64 {
	switch {
	case n == nil:
		v.add(field, "is required")
	case *n < 0:
		v.add(field, "must not be negative")
	default:
		return *n
	}
	return 0
}

func (v checks) units(field string, s *string) money.Units {
	text := v.text(field, s)
	if text == "" {
		return money.Units{}
	}
	u, err := money.ParseUnits(text)
	if err != nil || u.Sign() <= 0 {
		v.add(field, "want a positive integer in the token's smallest unit")
		return money.Units{}
	}
	return u
}

// fault returns nil when nothing is wrong.
func (v checks) fault() error {
	if len(v) == 0 {
		return nil
	}
	e := fault.New(fault.Invalid, "the callback is not valid")
	e.Fields = v
	return e
}

// Concerns checks that the transfer is one of the payment's token, on its
// chain, to its destination. Errors: fault.Invalid naming the fields; nothing
// is written about such a callback.
func (c *Callback) Concerns(p *Payment) error {
	v := checks{}
	b := p.Blockchain
	if c.ChainID != b.ChainID {
		v.add("chainId", "is not the payment's chain")
	}
	if !b.isToken(c.Token) {
		v.add("token", "is not the payment's token")
	}
	if c.Destination != "" && !chain.SameAddress(c.Destination, b.Destination) {
		v.add("destination", "is not the payment's address")
	}
	return v.fault()
}

// isToken compares by contract address, or by symbol as the network's table
// has it.
func (b *Blockchain) isToken(symbolOrAddress string) bool {
	if strings.EqualFold(symbolOrAddress, b.TokenAddress) {
		return true
	}
	network, ok := chain.NetworkOf(b.ChainID)
	if !ok {
		return false
	}
	mine, known := b.token(network)
	said, found := network.Token(symbolOrAddress)
	return known && found && mine == said
}

// Key is equal for two callbacks that say the same about the same transfer.
func (c *Callback) Key(payment cutover.ID) string {
	said := sha256.Sum256([]byte(strings.Join([]string{
		strconv.FormatInt(c.BlockNumber, 10), strconv.FormatInt(c.Confirmations, 10), c.Amount.String(), c.Status,
	}, "|")))
	return fmt.Sprintf("%s:%s:%d:%x", payment, c.TxHash, c.LogIndex, said[:8])
}

// delivery remembers the callback.
func (c *Callback) delivery(payment cutover.ID) *Delivery {
	return &Delivery{
		Key: c.Key(payment), PaymentID: payment, TxHash: c.TxHash, LogIndex: c.LogIndex, BlockNumber: c.BlockNumber,
		Confirmations: c.Confirmations, Amount: c.Amount, Token: c.Token, ChainID: c.ChainID, Status: c.Status,
	}
}

// depositKey names a transfer on its chain, whoever tells of it and however
// often.
func (c *Callback) depositKey() string {
	return fmt.Sprintf("deposit:%d:%s:%d", c.ChainID, c.TxHash, c.LogIndex)
}

// DepositEntry makes the ledger entry of a deposit on the payment.
func DepositEntry(p *Payment, c *Callback, s Split) (Entry, error) {
	asset, err := p.Asset()
	if err != nil {
		return Entry{}, err
	}
	e, err := NewEntry(c.depositKey(), EntryDeposit, p.ID, asset,
		Posting{CustodyAccount(p.Blockchain.Destination), c.Amount.Neg()},
		Posting{EscrowAccount(p.ID), s.Escrow},
		Posting{BuyerAccount(p.BuyerID), s.Buyer},
		Posting{AccountSuspense, s.Suspense})
	e.TxHash = c.TxHash
	return e, err
}

// recordedBy says that the entry is the deposit that the callback tells of.
func (c *Callback) recordedBy(e *Entry, p *Payment) bool {
	return e.PaymentID == p.ID && e.Type == EntryDeposit &&
		e.On(CustodyAccount(p.Blockchain.Destination)).Equal(c.Amount.Neg())
}

// peekReference reads the payment reference of a body that is not trusted
// yet; "" when there is none. It is lenient, so that what else is wrong with a
// body is told to whoever has signed it, and to nobody else.
func peekReference(raw []byte) string {
	var b struct {
		PaymentReference string `json:"paymentReference"`
	}
	err := v1.Unmarshal(raw, &b)
	if err != nil || len(b.PaymentReference) > maxCallbackText || strings.ContainsRune(b.PaymentReference, 0) {
		return ""
	}
	return b.PaymentReference
}

// Sign returns the signature of a callback's raw body: hex HMAC-SHA256 with the
// payment's secret.
func Sign(secret string, raw []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil))
}

// signedBy compares in constant time. An empty secret signs nothing, but
// takes as long.
func signedBy(secret string, raw []byte, signature string) bool {
	usable := secret != ""
	if !usable {
		secret = dummySecret
	}
	same := hmac.Equal([]byte(Sign(secret, raw)), []byte(strings.ToLower(signature)))
	return same && usable
}

// dummySecret stands in for the one of a payment that does not exist.
const dummySecret = "no payment has this secret: it only takes the same time to compare"
