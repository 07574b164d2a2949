package marketplace

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

var (
	buyerID  = cutover.MustID("65f1c0ffee00000000000001")
	sellerID = cutover.MustID("65f1c0ffee00000000000002")
	otherID  = cutover.MustID("65f1c0ffee00000000000003")
)

func as(id cutover.ID, role string) web.Principal { return web.Principal{UserID: id, Role: role} }

func goodRequest() RequestDraft {
	return RequestDraft{Title: "Shoes", Description: "Blue, size 40", ProductType: "physical_product",
		Budget: &Budget{money.MustAmount("10"), money.MustAmount("20.5"), "USD"}}
}

func goodOffer() OfferDraft {
	return OfferDraft{Description: "New, boxed", Price: Price{money.MustAmount("12.5"), "USD"}}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[field] == "" {
		t.Errorf("want an invalid fault that names %s, got %v", field, err)
	}
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("want %q, got %q: %v", want, got, err)
	}
}

func TestARequestsFieldsAreChecked(t *testing.T) {
	t.Parallel()
	cases := []struct {
		field string
		spoil func(*RequestDraft)
	}{
		{"title", func(d *RequestDraft) { d.Title = "  " }},
		{"title", func(d *RequestDraft) { d.Title = strings.Repeat("é", 201) }},
		{"title", func(d *RequestDraft) { d.Title = "a\x00b" }},
		{"title", func(d *RequestDraft) { d.Title = "a\u202eb" }},
		{"title", func(d *RequestDraft) { d.Title = "a\nb" }},
		{"description", func(d *RequestDraft) { d.Description = strings.Repeat("a", 2001) }},
		{"productType", func(d *RequestDraft) { d.ProductType = "weapon" }},
		{"productLink", func(d *RequestDraft) { d.ProductLink = "javascript:alert(1)" }},
		{"productLink", func(d *RequestDraft) { d.ProductLink = "//shop.example/a" }},
		{"productLink", func(d *RequestDraft) { d.ProductLink = "https://" }},
		{"productLink", func(d *RequestDraft) { d.ProductLink = "https://:80/a" }},
		{"size", func(d *RequestDraft) { d.Size = strings.Repeat("a", 101) }},
		{"color", func(d *RequestDraft) { d.Color = strings.Repeat("a", 101) }},
		{"brand", func(d *RequestDraft) { d.Brand = strings.Repeat("a", 101) }},
		{"quantity", func(d *RequestDraft) { d.Quantity = -1 }},
		{"urgency", func(d *RequestDraft) { d.Urgency = "now" }},
		{"budget.min", func(d *RequestDraft) { d.Budget.Min = money.MustAmount("20.51") }},
		{"budget.min", func(d *RequestDraft) { d.Budget.Min = money.MustAmount("0") }},
		{"budget.max", func(d *RequestDraft) { d.Budget.Max = money.MustAmount("-1") }},
		{"budget.currency", func(d *RequestDraft) { d.Budget.Currency = "TRY" }},
		{"specifications[0].key", func(d *RequestDraft) { d.Specifications = []Specification{{Value: "x"}} }},
		{"specifications", func(d *RequestDraft) { d.Specifications = make([]Specification, 51) }},
		{"preferredSellerIds", func(d *RequestDraft) { d.PreferredSellerIDs = []cutover.ID{buyerID} }},
		{"deliveryInfo.deliveryType", func(d *RequestDraft) { d.DeliveryInfo = &DeliveryDetails{DeliveryType: "drone"} }},
		{"deliveryInfo.address", func(d *RequestDraft) { d.DeliveryInfo = &DeliveryDetails{Address: strings.Repeat("a", 501)} }},
	}
	for _, c := range cases {
		d := goodRequest()
		c.spoil(&d)
		wantField(t, d.check(buyerID), c.field)
	}
}

func TestADescriptionMayHaveParagraphs(t *testing.T) {
	t.Parallel()
	d := goodRequest()
	d.Description = "a\r\n\r\nb"
	if err := limit.Check(d); err != nil {
		t.Error(err)
	}
	if err := limit.Check(RequestPatch{Description: &d.Description}); err != nil {
		t.Error(err)
	}
}

func TestAllWrongFieldsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	d := goodRequest()
	d.Title, d.Color = "", strings.Repeat("a", 101)
	err := d.check(buyerID)
	wantField(t, err, "title")
	wantField(t, err, "color")
}

func TestANewRequestGetsItsDefaults(t *testing.T) {
	t.Parallel()
	d := goodRequest()
	d.Title, d.ProductLink = "  Shoes ", "https://shop.example/a?b=c"
	d.PreferredSellerIDs = []cutover.ID{sellerID, sellerID}
	d.DeliveryInfo = &DeliveryDetails{City: "Tabriz"}
	if err := d.check(buyerID); err != nil {
		t.Fatalf("want no error, got %v", err)
	}
	r := newRequest(cutover.NewID(), buyerID, d)
	if r.Title != "Shoes" || r.Quantity != 1 || r.Urgency != "medium" || r.Status != StatusPending {
		t.Errorf("want a tidy pending request for 1 of medium urgency, got %+v", r)
	}
	if len(r.PreferredSellerIDs) != 1 || r.DeliveryInfo.DeliveryType != "physical" {
		t.Errorf("want each seller once and a physical delivery, got %v, %+v", r.PreferredSellerIDs, r.DeliveryInfo)
	}
}

func TestTermsStandOnceAnOfferIsChosen(t *testing.T) {
	t.Parallel()
	title, where := "Boots", &DeliveryDetails{City: "Shiraz"}
	for _, status := range RequestStatuses {
		r := newRequest(cutover.NewID(), buyerID, goodRequest())
		r.Status = status
		if err := r.apply(RequestPatch{Title: &title}); (err == nil) != status.Open() {
			t.Errorf("a new title when %s: got %v", status, err)
		}
		r.Status = status
		may := status.Open() || status == StatusPayment || status == StatusProcessing
		if err := r.apply(RequestPatch{DeliveryInfo: where}); (err == nil) != may {
			t.Errorf("a new address when %s: got %v", status, err)
		}
	}
}

func TestANewAddressKeepsTheRestOfTheDelivery(t *testing.T) {
	t.Parallel()
	r := PurchaseRequest{Status: StatusProcessing, DeliveryInfo: &DeliveryInfo{
		DeliveryDetails: DeliveryDetails{DeliveryType: "physical", City: "Tabriz"}, DeliveryCodeHash: "aa"}}
	if err := r.apply(RequestPatch{DeliveryInfo: &DeliveryDetails{City: "Shiraz"}}); err != nil {
		t.Fatal(err)
	}
	if i := r.DeliveryInfo; i.City != "Shiraz" || i.DeliveryType != "physical" || i.DeliveryCodeHash != "aa" {
		t.Errorf("want only the city changed, got %+v", i)
	}
}

func TestWhoMaySeeARequest(t *testing.T) {
	t.Parallel()
	member := web.Principal{UserID: otherID, Role: web.RoleSeller}
	cases := []struct {
		what      string
		status    RequestStatus
		preferred []cutover.ID
		who       web.Principal
		offered   bool
		want      bool
	}{
		{"the buyer, always", StatusPendingPayment, nil, as(buyerID, web.RoleBuyer), false, true},
		{"an admin, always", StatusCompleted, []cutover.ID{sellerID}, as(otherID, web.RoleAdmin), false, true},
		{"any member while it is open", StatusActive, nil, member, false, true},
		{"no other member before its payment", StatusPendingPayment, nil, member, false, false},
		{"no other member once an offer is chosen", StatusPayment, nil, member, false, false},
		{"a preferred seller", StatusPending, []cutover.ID{sellerID}, as(sellerID, web.RoleSeller), false, true},
		{"no seller that is not preferred", StatusPending, []cutover.ID{sellerID}, member, false, false},
		{"a seller who has made an offer", StatusDelivery, []cutover.ID{sellerID}, member, true, true},
	}
	for _, c := range cases {
		r := PurchaseRequest{BuyerID: buyerID, Status: c.status, PreferredSellerIDs: c.preferred}
		if got := r.visibleTo(c.who, c.offered); got != c.want {
			t.Errorf("%s: want %v, got %v", c.what, c.want, got)
		}
	}
}

func TestOnlyTheSelectedSellerLearnsWhereToDeliver(t *testing.T) {
	t.Parallel()
	r := PurchaseRequest{BuyerID: buyerID, DeliveryInfo: &DeliveryInfo{
		DeliveryDetails: DeliveryDetails{DeliveryType: "physical", City: "Tabriz"}, TrackingNumber: "T1"}}
	seller := as(sellerID, web.RoleSeller)
	if got := r.shownTo(seller, false).DeliveryInfo; *got != (DeliveryInfo{DeliveryDetails: DeliveryDetails{DeliveryType: "physical"}}) {
		t.Errorf("want the type alone, got %+v", got)
	}
	if got := r.shownTo(seller, true).DeliveryInfo; got.City != "Tabriz" {
		t.Errorf("want the city for the selected seller, got %+v", got)
	}
	if r.DeliveryInfo.City != "Tabriz" {
		t.Error("want the record itself unchanged")
	}
}

func TestAnOffersFieldsAreChecked(t *testing.T) {
	t.Parallel()
	now := cutover.Now()
	cases := []struct {
		field string
		spoil func(*OfferDraft)
	}{
		{"title", func(d *OfferDraft) { d.Title = strings.Repeat("a", 201) }},
		{"description", func(d *OfferDraft) { d.Description = " " }},
		{"description", func(d *OfferDraft) { d.Description = strings.Repeat("a", 1001) }},
		{"notes", func(d *OfferDraft) { d.Notes = strings.Repeat("a", 1001) }},
		{"price.amount", func(d *OfferDraft) { d.Price.Amount = money.MustAmount("0") }},
		{"price.currency", func(d *OfferDraft) { d.Price.Currency = "GBP" }},
		{"deliveryTime.amount", func(d *OfferDraft) { d.DeliveryTime = &DeliveryTime{0, "days"} }},
		{"deliveryTime.unit", func(d *OfferDraft) { d.DeliveryTime = &DeliveryTime{1, "years"} }},
		{"validUntil", func(d *OfferDraft) { d.ValidUntil = now.Add(-time.Second) }},
		{"validUntil", func(d *OfferDraft) { d.ValidUntil = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"attachments[1]", func(d *OfferDraft) { d.Attachments = []string{"https://a.example/b", "file:///etc/passwd"} }},
		{"attachments", func(d *OfferDraft) { d.Attachments = make([]string, 11) }},
	}
	for _, c := range cases {
		d := goodOffer()
		c.spoil(&d)
		wantField(t, d.check(now), c.field)
	}
	if err := goodOffer().check(now); err != nil {
		t.Errorf("want no error for a good offer, got %v", err)
	}
}

func TestOnlyAPendingOfferInTimeCanChange(t *testing.T) {
	t.Parallel()
	now := cutover.Now()
	notes := "by courier"
	for _, status := range OfferStatuses {
		o := newOffer(cutover.NewID(), sellerID, otherID, goodOffer())
		o.Status = status
		if err := o.apply(OfferPatch{Notes: &notes}, now); (err == nil) != (status == OfferPending) {
			t.Errorf("changing an offer that is %s: got %v", status, err)
		}
	}
	o := newOffer(cutover.NewID(), sellerID, otherID, goodOffer())
	o.ValidUntil = now.Add(-time.Millisecond)
	wantKind(t, o.apply(OfferPatch{Notes: &notes}, now), fault.Conflict)
}

func TestValidUntilIsKeptInMilliseconds(t *testing.T) {
	t.Parallel()
	d := goodOffer()
	d.ValidUntil = time.Date(2050, 1, 2, 3, 4, 5, 6_789_012, time.FixedZone("", 3600))
	got := newOffer(cutover.NewID(), sellerID, otherID, d).ValidUntil
	if want := time.Date(2050, 1, 2, 2, 4, 5, 6_000_000, time.UTC); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

func TestOnlyLiveOffersHaveAKey(t *testing.T) {
	t.Parallel()
	for _, status := range OfferStatuses {
		o := SellerOffer{SellerID: sellerID, PurchaseRequestID: otherID, Status: status}
		if got := o.LiveKey() != ""; got != (status == OfferPending || status == OfferAccepted) {
			t.Errorf("%s: has a key: %v", status, got)
		}
	}
}

func TestACodeIsRightOnceAndOnlyInTime(t *testing.T) {
	t.Parallel()
	now, id := cutover.Now(), cutover.NewID()
	hash := codeHash([]byte("secret"), id, "123456")
	fresh := func() PurchaseRequest {
		r := PurchaseRequest{Meta: cutover.Meta{ID: id}, Status: StatusDelivery}
		if err := r.giveCode(hash, now); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := fresh()
	if right, err := r.tryCode(hash, now); !right || err != nil || r.Status != StatusDelivered || r.DeliveryInfo.DeliveryCodeUsedAt != now {
		t.Errorf("want delivered now, got %v, %v, %+v", right, err, r.DeliveryInfo)
	}
	_, err := r.tryCode(hash, now)
	wantKind(t, err, fault.Conflict)

	r = fresh()
	_, err = r.tryCode(hash, now.Add(deliveryCodeLife))
	wantKind(t, err, fault.Conflict)
}

func TestWrongCodesLockTheRightOneOut(t *testing.T) {
	t.Parallel()
	now, id := cutover.Now(), cutover.NewID()
	hash := codeHash([]byte("secret"), id, "123456")
	r := PurchaseRequest{Meta: cutover.Meta{ID: id}, Status: StatusDelivery}
	if err := r.giveCode(hash, now); err != nil {
		t.Fatal(err)
	}
	for i := range maxCodeTries {
		if right, err := r.tryCode(codeHash([]byte("secret"), id, "000000"), now); right || err != nil {
			t.Fatalf("try %d: want wrong, got %v, %v", i, right, err)
		}
	}
	_, err := r.tryCode(hash, now)
	wantKind(t, err, fault.Locked)

	if err := r.giveCode(hash, now); err != nil {
		t.Fatal(err)
	}
	if right, err := r.tryCode(hash, now); !right || err != nil {
		t.Errorf("want a new code to open it again, got %v, %v", right, err)
	}
}

func TestACodesHashDependsOnSecretRequestAndCode(t *testing.T) {
	t.Parallel()
	id := cutover.NewID()
	base := codeHash([]byte("secret"), id, "123456")
	others := []string{
		codeHash([]byte("other"), id, "123456"),
		codeHash([]byte("secret"), cutover.NewID(), "123456"),
		codeHash([]byte("secret"), id, "123457"),
	}
	for i, other := range others {
		if other == base {
			t.Errorf("case %d: want another hash", i)
		}
	}
	if code := newCode(); len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		t.Errorf("want six digits, got %d characters", len(code))
	}
}

func category(n byte, name string, parent cutover.ID) Category {
	return Category{Meta: cutover.Meta{ID: cutover.ID{0: 1, 11: n}}, Name: name, IsActive: true, ParentID: parent}
}

func TestTheTreeLeavesOutWhatIsInactiveAndKeepsOrphans(t *testing.T) {
	t.Parallel()
	a := category(1, "a", cutover.ID{})
	b := category(2, "b", a.ID)
	c := category(3, "c", b.ID)
	closed := category(4, "closed", a.ID)
	closed.IsActive = false
	under := category(5, "under", closed.ID)
	orphan := category(6, "orphan", cutover.NewID())
	x, y := category(7, "x", cutover.ID{0: 1, 11: 8}), category(8, "y", cutover.ID{0: 1, 11: 7})
	got := treeText(categoryTree([]Category{a, b, c, closed, under, orphan, x, y}))
	if want := "a(b(c()))orphan()"; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

func treeText(nodes []CategoryNode) string {
	var s strings.Builder
	for _, n := range nodes {
		s.WriteString(n.Name + "(" + treeText(n.Children) + ")")
	}
	return s.String()
}

func TestACategoryCannotBecomeItsOwnAncestor(t *testing.T) {
	t.Parallel()
	a := category(1, "a", cutover.ID{})
	b := category(2, "b", a.ID)
	c := category(3, "c", b.ID)
	all := []Category{a, b, c}
	a.ParentID = c.ID
	_, err := a.ancestors(all)
	wantField(t, err, "parentId")
	c.ParentID = cutover.NewID()
	_, err = c.ancestors(all)
	wantField(t, err, "parentId")
	c.ParentID = b.ID
	if line, err := c.ancestors(all); err != nil || len(line) != 2 {
		t.Errorf("want two ancestors, got %v, %v", line, err)
	}
}

func TestCategoryNamesAreUniqueIgnoringCaseAndBlanks(t *testing.T) {
	t.Parallel()
	a := category(1, " Shoes", cutover.ID{})
	a.NameEn = "Shoes"
	b := category(2, "sHOES ", cutover.ID{})
	wantKind(t, b.checkNames([]Category{a}), fault.Conflict)
	b.IsActive = false
	if err := b.checkNames([]Category{a}); err != nil {
		t.Errorf("want inactive names free, got %v", err)
	}
	b.NameEn = "Shoes"
	wantKind(t, b.checkNames([]Category{a}), fault.Conflict)
}

// A patch has fields of its own, since it must tell what it names from what it
// does not; what they may be is what they may be in a draft.
func TestAPatchAllowsWhatItsDraftAllows(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[CategoryDraft](), reflect.TypeFor[CategoryPatch]()},
		{reflect.TypeFor[RequestDraft](), reflect.TypeFor[RequestPatch]()},
		{reflect.TypeFor[OfferDraft](), reflect.TypeFor[OfferPatch]()},
	} {
		draft, patch := pair[0], pair[1]
		if draft.NumField() != patch.NumField() {
			t.Errorf("%s has %d fields, %s %d", draft, draft.NumField(), patch, patch.NumField())
		}
		for i := range patch.NumField() {
			p := patch.Field(i)
			d, _ := draft.FieldByName(p.Name)
			for _, tag := range []string{"minLength", "maxLength", "format", "pattern", "enum", "minimum", "maximum", "minItems", "maxItems"} {
				if p.Tag.Get(tag) != d.Tag.Get(tag) {
					t.Errorf("%s.%s: %s is %q, in the draft %q", patch, p.Name, tag, p.Tag.Get(tag), d.Tag.Get(tag))
				}
			}
		}
	}
}
