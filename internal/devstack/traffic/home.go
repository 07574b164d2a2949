package traffic

import "context"

// settleIn fills in what a new member fills in: a profile, and two addresses,
// of which one is corrected and the other thrown away.
func (d *deal) settleIn(ctx context.Context) error {
	bio := "Buys for deal " + d.name
	_, err := d.buyer.do(ctx, call{method: "PUT", path: "/api/user/profile",
		body: map[string]any{"profile": map[string]any{"bio": bio, "isPublic": d.chance(50)}}})
	if err != nil {
		return err
	}
	d.t.account.acknowledge("user", d.buyer.id, fields{"profile.bio": is(bio)})
	home, err := d.addAddress(ctx, "Street "+d.name)
	if err != nil {
		return err
	}
	other, err := d.addAddress(ctx, "Elsewhere "+d.name)
	if err != nil {
		return err
	}
	if err := d.correctAddress(ctx, home); err != nil {
		return err
	}
	return d.removeAddress(ctx, other)
}

func address(street string) map[string]any {
	return map[string]any{"fullName": "Dana Demo", "street": street, "city": "Demo City", "country": "DE", "postalCode": "10115"}
}

func (d *deal) addAddress(ctx context.Context, street string) (id string, err error) {
	d.t.account.once("address", "street", street)
	a, err := d.buyer.do(ctx, call{method: "POST", path: "/api/addresses", body: address(street)})
	if err != nil {
		return "", err
	}
	d.t.account.acknowledge("address", a.data.id(), fields{"userId": is(d.buyer.id), "street": is(street)})
	return a.data.id(), nil
}

func (d *deal) correctAddress(ctx context.Context, id string) error {
	street := "New Street " + d.name
	if _, err := d.buyer.get(ctx, "/api/addresses/"+id); err != nil {
		return err
	}
	_, err := d.buyer.do(ctx, call{method: "PUT", path: "/api/addresses/" + id, body: address(street)})
	if err != nil {
		d.doubt(err, "address", id, "street")
		return err
	}
	d.t.account.acknowledge("address", id, fields{"street": is(street)})
	return nil
}

func (d *deal) removeAddress(ctx context.Context, id string) error {
	_, err := d.buyer.do(ctx, call{method: "DELETE", path: "/api/addresses/" + id})
	if err != nil {
		d.t.account.forget("address", id)
		return err
	}
	d.t.account.removed("address", id)
	return nil
}
