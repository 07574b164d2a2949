package seed

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The extended public key of m/44'/60'/0' of the well-known test mnemonic
// "abandon … about". Nobody's money is behind it.
const (
	xpub         = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
	firstAddress = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
	fingerprint  = "60b68b69"
	tokenAddress = "0x55d398326f99059fF775485246999027B3197955" // USDT on BSC, 18 decimals
	unitsPerCent = 10_000_000_000_000_000
)

func (w *world) addTrezor() {
	at := w.moment()
	w.trezor = w.id(at)
	w.add("trezoraccounts", w.finish(bson.D{
		{Key: "_id", Value: w.trezor}, {Key: "xpub", Value: xpub}, {Key: "fingerprint", Value: fingerprint},
		{Key: "basePath", Value: "m/44'/60'/0'"}, {Key: "registrationAddress", Value: firstAddress},
		{Key: "nextAddressIndex", Value: int64(1_000_000)}, {Key: "deviceLabel", Value: "demo"},
	}, at, false))
}

// units turns cents into the token's smallest unit.
func units(cents int64) *big.Int {
	return new(big.Int).Mul(big.NewInt(cents), big.NewInt(unitsPerCent))
}

// addPayment adds the payment of a deal with its destination and its ledger.
func (w *world) addPayment(d deal) {
	at := d.at.Add(2 * time.Hour)
	id, destination := w.id(at), w.address()
	doc := bson.D{
		{Key: "_id", Value: id},
		{Key: "purchaseRequestId", Value: w.reference(d.id, d.old)},
		{Key: "sellerOfferId", Value: w.reference(d.offer, d.old)},
		{Key: "buyerId", Value: w.reference(d.buyer, d.old)},
		{Key: "sellerId", Value: w.reference(d.seller, d.old)},
		{Key: "amount", Value: bson.D{{Key: "amount", Value: w.amount(d.cents, d.old)}, {Key: "currency", Value: "USDT"}}},
		{Key: "provider", Value: w.provider(d.old)},
		{Key: "direction", Value: "in"},
		{Key: "status", Value: d.outcome.payment},
	}
	if d.outcome.escrow != "" {
		doc = append(doc, bson.E{Key: "escrowState", Value: d.outcome.escrow})
	}
	doc = append(doc, bson.E{Key: "blockchain", Value: w.blockchain(id, destination, d)})
	if d.outcome.payment == "pending" {
		doc = append(doc, bson.E{Key: "expiresAt", Value: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)})
	}
	if !d.old {
		doc = append(doc, w.balances(d)...)
	}
	w.add("payments", w.finish(doc, at, d.old))
	w.addDestination(id, destination, at)
	w.addLedger(id, d, destination, at)
}

// provider names who took the payment; an old one is a name of old.
func (w *world) provider(old bool) string {
	if old {
		return "decentralized"
	}
	return "request.network"
}

func (w *world) blockchain(payment bson.ObjectID, destination string, d deal) bson.D {
	b := bson.D{
		{Key: "chainId", Value: w.count(56, d.old)}, {Key: "network", Value: "bsc"},
		{Key: "token", Value: "USDT"}, {Key: "tokenAddress", Value: tokenAddress},
		{Key: "destination", Value: destination}, {Key: "paymentReference", Value: w.hex(8)},
	}
	if d.outcome.escrow != "" {
		b = append(b, bson.E{Key: "txHash", Value: "0x" + w.hex(32)}, bson.E{Key: "blockNumber", Value: w.count(30_000_000, d.old)},
			bson.E{Key: "confirmations", Value: w.count(240, d.old)})
	}
	return append(b, bson.E{Key: "confirmationsRequired", Value: w.count(200, d.old)})
}

// balances are the figures that newer documents keep beside the ledger.
func (w *world) balances(d deal) bson.D {
	all := units(d.cents).String()
	out := bson.D{{Key: "expectedUnits", Value: all}}
	switch d.outcome.escrow {
	case "funded", "releasable":
		return append(out, bson.E{Key: "receivedUnits", Value: all}, bson.E{Key: "escrowBalance", Value: all})
	case "released":
		return append(out, bson.E{Key: "receivedUnits", Value: all}, bson.E{Key: "escrowBalance", Value: "0"}, bson.E{Key: "releasedUnits", Value: all})
	case "refunded":
		return append(out, bson.E{Key: "receivedUnits", Value: all}, bson.E{Key: "escrowBalance", Value: "0"})
	}
	return out
}

func (w *world) addDestination(payment bson.ObjectID, address string, at time.Time) {
	index := len(w.documents["deriveddestinations"]) + 1
	w.add("deriveddestinations", w.finish(bson.D{
		{Key: "_id", Value: w.id(at)}, {Key: "paymentId", Value: payment}, {Key: "address", Value: address},
		{Key: "chainId", Value: int64(56)}, {Key: "derivationPath", Value: fmt.Sprintf("m/44'/60'/0'/0/%d", index)},
		{Key: "derivationIndex", Value: int64(index)}, {Key: "trezorAccountId", Value: w.trezor}, {Key: "status", Value: "active"},
	}, at, false))
}

// addLedger adds the entries that say what became of the money.
func (w *world) addLedger(payment bson.ObjectID, d deal, destination string, at time.Time) {
	escrow := "escrow:" + payment.Hex()
	if d.outcome.escrow != "" {
		w.addEntry(payment, "deposit", d, at, "custody:"+strings.ToLower(destination), escrow)
	}
	switch d.outcome.escrow {
	case "released":
		w.addEntry(payment, "release", d, at.Add(72*time.Hour), escrow, "seller:"+d.seller.Hex())
	case "refunded":
		w.addEntry(payment, "refund", d, at.Add(72*time.Hour), escrow, "buyer:"+d.buyer.Hex())
	}
}

// addEntry moves the whole amount from one account to another.
func (w *world) addEntry(payment bson.ObjectID, typ string, d deal, at time.Time, from, to string) {
	n := units(d.cents)
	hash := "0x" + w.hex(32)
	w.add("fundsledgerentries", w.finish(bson.D{
		{Key: "_id", Value: w.id(at)},
		{Key: "idempotencyKey", Value: fmt.Sprintf("%s:%s:%s", typ, payment.Hex(), hash)},
		{Key: "paymentId", Value: w.reference(payment, d.old)},
		{Key: "type", Value: typ},
		{Key: "asset", Value: bson.D{{Key: "chainId", Value: w.count(56, d.old)}, {Key: "token", Value: "USDT"}}},
		{Key: "postings", Value: bson.A{
			bson.D{{Key: "account", Value: from}, {Key: "amount", Value: new(big.Int).Neg(n).String()}},
			bson.D{{Key: "account", Value: to}, {Key: "amount", Value: n.String()}}}},
		{Key: "txHash", Value: hash},
	}, at, d.old))
}

// addTemplateCheckout adds a payment of the time when a checkout made up an id
// where the request's should be.
func (w *world) addTemplateCheckout(i int) {
	w.cast.Legacy++
	at := w.moment()
	w.add("payments", w.finish(bson.D{
		{Key: "_id", Value: w.id(at)},
		{Key: "purchaseRequestId", Value: fmt.Sprintf("template-checkout-%d-%s", at.UnixMilli(), w.hex(3))},
		{Key: "buyerId", Value: w.buyers[i%len(w.buyers)].Hex()},
		{Key: "sellerId", Value: w.sellers[i%len(w.sellers)]},
		{Key: "amount", Value: bson.D{{Key: "amount", Value: 19.99 + float64(i)}, {Key: "currency", Value: "USDT"}}},
		{Key: "provider", Value: "shkeeper"}, {Key: "direction", Value: "in"}, {Key: "status", Value: "failed"},
	}, at, true))
}
