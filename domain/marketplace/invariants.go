package marketplace

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// Invariants are what must hold of the whole domain on both sides.
var Invariants = []cutover.Invariant{
	{Name: "requests by status", Eval: requestsByStatus},
	{Name: "offers by status", Eval: offersByStatus},
	{Name: "a selected offer is an accepted one of its request", Kind: KindRequest, Check: checkSelected, Suspects: suspectSelected},
	{Name: "at most one live offer per seller and request", Kind: KindOffer, Check: checkOneLive, Suspects: suspectLive},
}

func requestsByStatus(ctx context.Context, tx cutover.Tx) (string, error) {
	counts := map[string]int{}
	err := cutover.Each(ctx, tx, func(r PurchaseRequest) error {
		counts[string(r.Status)]++
		return nil
	})
	return countsText(counts), err
}

func offersByStatus(ctx context.Context, tx cutover.Tx) (string, error) {
	counts := map[string]int{}
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
		counts[string(o.Status)]++
		return nil
	})
	return countsText(counts), err
}

// countsText returns "3 active, 1 pending" in the order of the names.
func countsText(counts map[string]int) string {
	parts := make([]string, 0, len(counts))
	for name := range counts {
		parts = append(parts, name)
	}
	sort.Strings(parts)
	for i, name := range parts {
		parts[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func checkSelected(ctx context.Context, tx cutover.Tx, record cutover.Record) error {
	r := record.(*PurchaseRequest)
	if r.SelectedOfferID.IsZero() {
		return nil
	}
	o, err := cutover.Get[SellerOffer](ctx, tx, r.SelectedOfferID)
	switch {
	case err != nil:
		return fmt.Errorf("selected offer %s: %w", r.SelectedOfferID, err)
	case o.PurchaseRequestID != r.ID:
		return fmt.Errorf("selected offer %s is of request %s", o.ID, o.PurchaseRequestID)
	case o.Status != OfferAccepted:
		return fmt.Errorf("selected offer %s is %s", o.ID, o.Status)
	}
	return nil
}

// suspectSelected names the requests whose selected offer was not found among
// the accepted ones of that request.
func suspectSelected(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	accepted := map[cutover.ID]cutover.ID{} // offer → request
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
		if o.Status == OfferAccepted {
			accepted[o.ID] = o.PurchaseRequestID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []cutover.ID
	err = cutover.Each(ctx, tx, func(r PurchaseRequest) error {
		if !r.SelectedOfferID.IsZero() && accepted[r.SelectedOfferID] != r.ID {
			out = append(out, r.ID)
		}
		return nil
	})
	return out, err
}

// suspectLive names the offers that are the second live one of their seller on
// a request.
func suspectLive(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	type place struct{ request, seller cutover.ID }
	live := map[place]bool{}
	var out []cutover.ID
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
		at := place{o.PurchaseRequestID, o.SellerID}
		if o.Status.Live() && live[at] {
			out = append(out, o.ID)
		}
		live[at] = live[at] || o.Status.Live()
		return nil
	})
	return out, err
}

func checkOneLive(ctx context.Context, tx cutover.Tx, record cutover.Record) error {
	o := record.(*SellerOffer)
	if !o.Status.Live() {
		return nil
	}
	offers, err := Offers(ctx, tx, OfferFilter{RequestID: o.PurchaseRequestID, SellerID: o.SellerID}, cutover.ID{}, 0)
	if err != nil {
		return err
	}
	live := 0
	for _, o := range offers {
		if o.Status.Live() {
			live++
		}
	}
	if live > 1 {
		return fmt.Errorf("its seller has %d live offers on request %s", live, o.PurchaseRequestID)
	}
	return nil
}
