package seed

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func (w *world) addCategories() {
	names := []string{"Electronics", "Phones", "Computers", "Books", "Clothing", "Shoes", "Home", "Garden", "Toys", "Sports",
		"Music", "Software", "Design", "Translation", "Consulting", "Tickets"}
	for i, name := range names {
		at := w.moment()
		d := bson.D{
			{Key: "_id", Value: w.id(at)}, {Key: "name", Value: name}, {Key: "nameEn", Value: name + " (en)"},
			{Key: "description", Value: "All about " + name}, {Key: "icon", Value: "icon-" + name},
			{Key: "isActive", Value: i%8 != 7}, {Key: "order", Value: w.count(i, i%5 == 0)},
		}
		if i == 1 || i == 2 {
			d = append(d, bson.E{Key: "parentId", Value: w.categories[0]})
		}
		w.categories = append(w.categories, d[0].Value.(bson.ObjectID))
		w.add("categories", w.finish(d, at, i%5 == 0))
	}
}

// outcome is how far a deal of the data set came: the request's status, the
// payment's, and where the money is. Empty: there is no payment.
type outcome struct {
	request, payment, escrow string
	offers                   bool
}

var outcomes = []outcome{
	{request: "pending"},
	{request: "active"},
	{request: "received_offers", offers: true},
	{request: "received_offers", offers: true},
	{request: "cancelled", offers: true},
	{request: "payment", payment: "pending", offers: true},
	{request: "processing", payment: "completed", escrow: "funded", offers: true},
	{request: "delivery", payment: "completed", escrow: "funded", offers: true},
	{request: "completed", payment: "completed", escrow: "releasable", offers: true},
	{request: "seller_paid", payment: "completed", escrow: "released", offers: true},
	{request: "seller_paid", payment: "completed", escrow: "released", offers: true},
	{request: "cancelled", payment: "refunded", escrow: "refunded", offers: true},
}

// deal is one request with all that belongs to it.
type deal struct {
	id, buyer, seller, offer bson.ObjectID
	at                       time.Time
	cents                    int64
	outcome                  outcome
	old                      bool
}

// addDeal adds a request and what came of it. Each member of the cast has
// some, so that what they list is not empty.
func (w *world) addDeal(i int) {
	d := deal{
		buyer: w.buyers[w.random.IntN(len(w.buyers))], seller: w.sellers[w.random.IntN(len(w.sellers))],
		at: w.moment(), cents: 1000 + w.random.Int64N(50_000), outcome: outcomes[i%len(outcomes)], old: w.legacy(),
	}
	if w.random.IntN(3) == 0 {
		d.cents -= d.cents % 100 // a round price
	}
	if i%20 == 0 {
		d.buyer = w.castBuyers[i/20%len(w.castBuyers)]
	}
	if i%20 == 10 {
		d.seller = w.castSellers[i/20%len(w.castSellers)]
	}
	d.id, d.offer = w.id(d.at), w.id(d.at.Add(time.Minute))
	w.addRequest(i, d)
	if d.outcome.offers {
		w.addOffers(i, d)
	}
	if d.outcome.payment != "" {
		w.addPayment(d)
	}
}

func (w *world) addRequest(i int, d deal) {
	doc := bson.D{
		{Key: "_id", Value: d.id},
		{Key: "buyerId", Value: w.reference(d.buyer, d.old)},
		{Key: "title", Value: fmt.Sprintf("Wanted: thing number %d", i)},
		{Key: "description", Value: "Something from before the move."},
		{Key: "categoryId", Value: w.reference(w.categories[i%len(w.categories)], d.old)},
		{Key: "productType", Value: []string{"physical_product", "digital_product", "service", "consultation"}[i%4]},
		{Key: "quantity", Value: w.count(1+i%3, d.old)},
		{Key: "budget", Value: bson.D{
			{Key: "min", Value: w.amount(d.cents/2, d.old)}, {Key: "max", Value: w.amount(d.cents*2, d.old)}, {Key: "currency", Value: "USDT"}}},
		{Key: "urgency", Value: []string{"low", "medium", "high", "urgent"}[i%4]},
		{Key: "specifications", Value: bson.A{
			bson.D{{Key: "key", Value: "colour"}, {Key: "value", Value: "blue"}, {Key: "label", Value: "Colour"}},
			bson.D{{Key: "key", Value: "number"}, {Key: "value", Value: fmt.Sprint(i)}}}},
		{Key: "status", Value: d.outcome.request},
	}
	if i%7 == 0 {
		doc = append(doc, bson.E{Key: "preferredSellerIds", Value: bson.A{w.reference(d.seller, d.old)}})
	}
	if d.outcome.offers && d.outcome.request != "received_offers" && d.outcome.payment != "" {
		doc = append(doc, bson.E{Key: "selectedOfferId", Value: w.reference(d.offer, d.old)})
	}
	if d.outcome.request == "delivery" {
		doc = append(doc, bson.E{Key: "deliveryInfo", Value: bson.D{
			{Key: "deliveryType", Value: "physical"}, {Key: "address", Value: "Long Street 1"}, {Key: "city", Value: "Demo City"},
			{Key: "shippedAt", Value: d.at.Add(48 * time.Hour)}, {Key: "trackingNumber", Value: fmt.Sprintf("T%08d", i)}}})
	}
	w.add("purchaserequests", w.finish(doc, d.at, d.old))
}

// addOffers adds the deal's own offer and one of somebody else.
func (w *world) addOffers(i int, d deal) {
	mine, theirs := "pending", "pending"
	if d.outcome.payment != "" {
		mine, theirs = "accepted", "rejected"
	}
	if d.outcome.request == "cancelled" && d.outcome.payment == "" {
		mine, theirs = "rejected", "withdrawn"
	}
	w.addOffer(d.offer, d.seller, mine, d.cents, d)
	other := w.sellers[w.random.IntN(len(w.sellers))]
	if other != d.seller {
		w.addOffer(w.id(d.at.Add(time.Hour)), other, theirs, d.cents+100, d)
	}
}

func (w *world) addOffer(id, seller bson.ObjectID, status string, cents int64, d deal) {
	if status == "pending" && d.old {
		status = "active" // what pending was called
	}
	doc := bson.D{
		{Key: "_id", Value: id},
		{Key: "sellerId", Value: w.reference(seller, d.old)},
		{Key: "purchaseRequestId", Value: w.reference(d.id, d.old)},
		{Key: "title", Value: "Can do"},
		{Key: "description", Value: "An offer from before the move."},
		{Key: "price", Value: bson.D{{Key: "amount", Value: w.amount(cents, d.old)}, {Key: "currency", Value: "USDT"}}},
		{Key: "deliveryTime", Value: bson.D{{Key: "amount", Value: w.count(1+w.random.IntN(14), d.old)}, {Key: "unit", Value: "days"}}},
		{Key: "status", Value: status},
		{Key: "attachments", Value: bson.A{"https://files.demo.example/" + id.Hex() + ".jpg"}},
		{Key: "notes", Value: ""},
		{Key: "requireAmlCheck", Value: false},
		{Key: "amlBlockOnFailure", Value: false},
	}
	w.add("selleroffers", w.finish(doc, d.at.Add(time.Hour), d.old))
}
