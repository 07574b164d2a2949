package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/amanat-dev/amanat/internal/devstack/audit"
)

// deal is one purchase from the request to the payout, or to wherever it ends
// before that.
type deal struct {
	t      *Traffic
	random *rand.Rand
	dealer int
	name   string // unique
	stage  string // how far it came

	newcomer  bool
	buyer     *member
	sellers   []*member // who may offer
	seller    *member   // who is selected
	request   string
	offer     string
	payment   string
	price     string
	reference string
	units     string // base units to pay
}

// requestStates in their order; a deal never goes backwards.
var requestStates = []string{"pending_payment", "pending", "active", "received_offers", "payment",
	"processing", "delivery", "delivered", "completed", "seller_paid"}

// from returns a state and those that may follow it by other people's doing.
func from(states []string, state string, also ...string) []string {
	return append(slices.Clone(states[slices.Index(states, state):]), also...)
}

// step is one part of a deal. done ends the deal well.
type step struct {
	name string
	do   func(*deal, context.Context) (done bool, err error)
}

var steps = []step{
	{"buyer", (*deal).findBuyer},
	{"posted", (*deal).post},
	{"offered", (*deal).collectOffers},
	{"selected", (*deal).selectOffer},
	{"intended", (*deal).intend},
	{"funded", (*deal).pay},
	{"refunded", (*deal).maybeRefund},
	{"shipped", (*deal).ship},
	{"delivered", (*deal).deliver},
	{"confirmed", (*deal).confirm},
	{"released", (*deal).release},
}

// play carries the deal through its steps.
func (d *deal) play(ctx context.Context) error {
	for _, s := range steps {
		done, err := s.do(d, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		d.stage = s.name
		if done {
			return nil
		}
	}
	return nil
}

// chance is true in so many cases out of a hundred.
func (d *deal) chance(percent int) bool { return d.random.IntN(100) < percent }

// findBuyer registers a new member now and then. Else the dealer's own known
// buyer acts, who signs in again every few deals.
func (d *deal) findBuyer(ctx context.Context) (bool, error) {
	var err error
	if d.newcomer = d.chance(25); d.newcomer {
		email := fmt.Sprintf("Buyer.%s@demo.example", d.name)
		if d.buyer, err = d.t.register(ctx, "Dana", "Demo "+d.name, email, "buyer"); err != nil {
			return false, err
		}
		return false, d.settleIn(ctx)
	}
	known := d.t.o.Buyers[d.dealer%len(d.t.o.Buyers)]
	if d.t.buyers[d.dealer] == nil || d.chance(30) {
		m := &member{t: d.t, email: known.Email}
		if err := m.login(ctx, known.Password); err != nil {
			return false, err
		}
		d.t.buyers[d.dealer] = m
	}
	d.buyer = d.t.buyers[d.dealer]
	return false, nil
}

func (d *deal) post(ctx context.Context) (bool, error) {
	title := "Wanted: " + d.name
	budget := fmt.Sprintf("%d.%02d", 20+d.random.IntN(400), d.random.IntN(100))
	body := map[string]any{
		"title": title, "description": "Made by the demo's traffic.", "productType": "physical_product",
		"quantity": 1 + d.random.IntN(3), "urgency": []string{"low", "medium", "high", "urgent"}[d.random.IntN(4)],
		"budget":         map[string]any{"min": "10", "max": budget, "currency": "USDT"},
		"specifications": []map[string]any{{"key": "colour", "value": "blue", "label": "Colour"}, {"key": "deal", "value": d.name}},
		"deliveryInfo":   map[string]any{"deliveryType": "physical"},
	}
	if d.chance(20) {
		body["preferredSellerIds"] = d.prefer(3)
	}
	if category := d.category(ctx); category != "" {
		body["categoryId"] = category
	}
	d.t.account.once("purchase_request", "title", title)
	a, err := d.buyer.do(ctx, call{method: "POST", path: "/api/marketplace/purchase-requests", body: body})
	if err != nil {
		return false, err
	}
	d.request = a.data.id()
	d.t.account.acknowledge("purchase_request", d.request, fields{
		"title": is(title), "buyerId": is(d.buyer.id), "budget.max": is(trim(budget)), "status": from(requestStates, "pending_payment", "cancelled")})
	return false, nil
}

// prefer has only so many sellers see the request, and returns their ids.
func (d *deal) prefer(n int) (ids []string) {
	d.sellers = d.sellers[:min(n, len(d.sellers))]
	for _, m := range d.sellers {
		ids = append(ids, m.id)
	}
	return ids
}

// category picks one that is on offer.
func (d *deal) category(ctx context.Context) string {
	list, err := d.buyer.get(ctx, "/api/marketplace/categories")
	if items := list.items(); err == nil && len(items) > 0 {
		return items[d.random.IntN(len(items))].id()
	}
	return ""
}

// collectOffers has two or three sellers offer, one of whom may think again.
func (d *deal) collectOffers(ctx context.Context) (bool, error) {
	if d.chance(8) {
		return true, d.cancel(ctx)
	}
	order := d.random.Perm(len(d.sellers))
	for i, at := range order[:min(2+d.random.IntN(2), len(order))] {
		seller := d.sellers[at]
		id, price, err := d.makeOffer(ctx, seller)
		if err != nil {
			return false, err
		}
		if i == 0 {
			d.seller, d.offer, d.price = seller, id, price
		} else if d.chance(30) {
			if err := d.withdraw(ctx, seller, id); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

func (d *deal) makeOffer(ctx context.Context, seller *member) (id, price string, err error) {
	price = fmt.Sprintf("%d.%02d", 11+d.random.IntN(200), 1+d.random.IntN(99))
	a, err := seller.do(ctx, call{method: "POST", path: "/api/marketplace/purchase-requests/" + d.request + "/offers",
		body: map[string]any{"title": "Offer for " + d.name, "description": "In stock.",
			"price":        map[string]any{"amount": price, "currency": "USDT"},
			"deliveryTime": map[string]any{"amount": 1 + d.random.IntN(9), "unit": "days"}}})
	if err != nil {
		return "", "", err
	}
	id = a.data.id()
	d.t.account.acknowledge("seller_offer", id, fields{
		"sellerId": is(seller.id), "purchaseRequestId": is(d.request), "price.amount": is(trim(price)),
		"status": {"pending", "accepted", "rejected", "withdrawn"}})
	return id, price, d.reconsider(ctx, seller, id)
}

// reconsider edits an offer now and then.
func (d *deal) reconsider(ctx context.Context, seller *member, offer string) error {
	if !d.chance(25) {
		return nil
	}
	notes := "Ships the same day, deal " + d.name
	_, err := seller.do(ctx, call{method: "PATCH", path: "/api/marketplace/offers/" + offer,
		body: map[string]any{"notes": notes}})
	if err != nil {
		return err
	}
	d.t.account.acknowledge("seller_offer", offer, fields{"notes": is(notes)})
	return nil
}

func (d *deal) withdraw(ctx context.Context, seller *member, offer string) error {
	_, err := seller.do(ctx, call{method: "POST", path: "/api/marketplace/offers/" + offer + "/withdraw"})
	if err != nil {
		d.doubt(err, "seller_offer", offer, "status")
		return err
	}
	d.t.account.acknowledge("seller_offer", offer, fields{"status": is("withdrawn")})
	return nil
}

func (d *deal) cancel(ctx context.Context) error {
	_, err := d.buyer.do(ctx, call{method: "POST", path: "/api/marketplace/purchase-requests/" + d.request + "/cancel",
		body: map[string]any{}})
	if err != nil {
		d.doubt(err, "purchase_request", d.request, "status")
		return err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{"status": is("cancelled")})
	return nil
}

func (d *deal) selectOffer(ctx context.Context) (bool, error) {
	_, err := d.buyer.do(ctx, call{method: "POST", path: "/api/marketplace/purchase-requests/" + d.request + "/select-offer",
		body: map[string]any{"offerId": d.offer}})
	if err != nil {
		d.doubt(err, "seller_offer", d.offer, "status")
		return false, err
	}
	d.t.account.acknowledge("seller_offer", d.offer, fields{"status": is("accepted")})
	d.t.account.acknowledge("purchase_request", d.request, fields{
		"selectedOfferId": is(d.offer), "status": from(requestStates, "received_offers", "cancelled")})
	return false, nil
}

// intend asks for the checkout of a payment, sometimes twice: the second time
// gives the same payment.
func (d *deal) intend(ctx context.Context) (bool, error) {
	body := map[string]any{"purchaseRequestId": d.request, "sellerOfferId": d.offer, "chainId": bscChain, "token": "USDT"}
	d.t.account.once("payment", "purchaseRequestId", d.request) // however often it is asked for
	for range 1 + d.random.IntN(2) {
		a, err := d.buyer.do(ctx, call{method: "POST", path: "/api/payment/request-network/intents", body: body})
		if err != nil {
			return false, err
		}
		if d.payment != "" && d.payment != a.data.id() {
			return false, fmt.Errorf("a second intent gave payment %s instead of %s", a.data.id(), d.payment)
		}
		d.readCheckout(a.data)
	}
	d.t.account.acknowledge("payment", d.payment, fields{
		"purchaseRequestId": is(d.request), "sellerOfferId": is(d.offer), "buyerId": is(d.buyer.id),
		"sellerId": is(d.seller.id)})
	return d.chance(5), nil
}

// pay lets the scanner see the buyer's transfer.
func (d *deal) pay(ctx context.Context) (bool, error) {
	if err := d.t.transfer(ctx, d); err != nil {
		d.doubt(err, "payment", d.payment, "status", "escrowState")
		d.doubtEntry(err, "deposit")
		return false, err
	}
	d.t.account.acknowledge("payment", d.payment, fields{
		"blockchain.txHash": is(d.hash("deposit")),
		"escrowState":       {"funded", "releasable", "releasing", "released", "refunding", "refunded"}})
	d.t.account.post(d.payment, audit.Entry{Type: "deposit", Units: d.units})
	return false, d.awaitRequest(ctx, "processing")
}

// maybeRefund returns some buyers their money back, of those who have a wallet.
func (d *deal) maybeRefund(ctx context.Context) (bool, error) {
	if d.newcomer || !d.chance(15) {
		return false, nil
	}
	if err := d.payOut(ctx, "refund", "refunding", "refunded"); err != nil {
		return false, err
	}
	if err := d.awaitRequest(ctx, "cancelled"); err != nil {
		return false, err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{"status": is("cancelled")})
	return true, nil
}

func (d *deal) ship(ctx context.Context) (bool, error) {
	_, err := d.seller.do(ctx, call{method: "PUT", path: "/api/marketplace/purchase-requests/" + d.request + "/delivery",
		body: map[string]any{"trackingNumber": "TRACK-" + d.name}})
	if err != nil {
		return false, err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{
		"deliveryInfo.trackingNumber": is("TRACK-" + d.name), "status": from(requestStates, "delivery")})
	return false, nil
}

func (d *deal) deliver(ctx context.Context) (bool, error) {
	path := "/api/marketplace/purchase-requests/" + d.request + "/delivery-code/"
	a, err := d.buyer.do(ctx, call{method: "POST", path: path + "generate"})
	if err != nil {
		return false, err
	}
	_, err = d.seller.do(ctx, call{method: "POST", path: path + "verify", body: map[string]any{"code": a.data.get("code")}})
	if err != nil {
		return false, err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{"status": from(requestStates, "delivered")})
	return false, nil
}

func (d *deal) confirm(ctx context.Context) (bool, error) {
	_, err := d.buyer.do(ctx, call{method: "POST", path: "/api/marketplace/purchase-requests/" + d.request + "/confirm-delivery"})
	if err != nil {
		return false, err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{"status": from(requestStates, "completed")})
	return false, d.awaitPayment(ctx, "releasable")
}

// release pays the seller.
func (d *deal) release(ctx context.Context) (bool, error) {
	if err := d.payOut(ctx, "release", "releasing", "released"); err != nil {
		return false, err
	}
	if err := d.awaitRequest(ctx, "seller_paid"); err != nil {
		return false, err
	}
	d.t.account.acknowledge("purchase_request", d.request, fields{"status": is("seller_paid")})
	return true, nil
}

// payOut has the admin reserve the money and, once it is sent, finish it. Two
// admins may press the button at once: one of them is refused.
func (d *deal) payOut(ctx context.Context, what, reserved, finished string) error {
	path := "/api/payment/" + d.payment + "/" + what
	_, err := d.t.admin.do(ctx, call{method: "POST", path: path, body: map[string]any{}})
	if err != nil {
		d.doubt(err, "payment", d.payment, "escrowState")
		return err
	}
	d.t.account.acknowledge("payment", d.payment, fields{"escrowState": {reserved, finished}})
	_, err = d.t.admin.do(ctx, call{method: "POST", path: path + "/confirm", body: map[string]any{"txHash": d.hash(what)}})
	if err != nil {
		d.doubt(err, "payment", d.payment, "escrowState")
		d.doubtEntry(err, what)
		return err
	}
	d.t.account.acknowledge("payment", d.payment, fields{"escrowState": is(finished)})
	d.t.account.post(d.payment, audit.Entry{Type: what, Units: d.units})
	return nil
}

// doubt takes statements back when the outcome of a write is not known.
func (d *deal) doubt(err error, kind, id string, names ...string) {
	if _, unknown := errors.AsType[uncertain](err); unknown {
		d.t.account.doubt(kind, id, names...)
	}
}

// doubtEntry notes that a movement of money may have been made.
func (d *deal) doubtEntry(err error, what string) {
	if _, unknown := errors.AsType[uncertain](err); unknown {
		d.t.account.maybePost(d.payment, audit.Entry{Type: what, Units: d.units})
	}
}

// awaitRequest polls until an event has brought the request into a state.
func (d *deal) awaitRequest(ctx context.Context, state string) error {
	return d.await(ctx, d.buyer, "/api/marketplace/purchase-requests/"+d.request, "status", state)
}

func (d *deal) awaitPayment(ctx context.Context, state string) error {
	return d.await(ctx, d.buyer, "/api/payment/"+d.payment, "escrowState", state)
}

func (d *deal) await(ctx context.Context, m *member, path, field, want string) error {
	return until(ctx, fmt.Sprintf("%s of %s to be %q", field, path, want), func() (bool, error) {
		o, err := m.get(ctx, path)
		return o.get(field) == want, err
	})
}
