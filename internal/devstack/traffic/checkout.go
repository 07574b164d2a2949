package traffic

import "strings"

// readCheckout takes what a buyer needs to pay out of the answer to an intent.
func (d *deal) readCheckout(o object) {
	d.payment = o.id()
	d.units = o.get("checkout", "units")
	d.reference = o.get("checkout", "reference")
}

// trim gives a decimal its shortest form: no trailing zeros.
func trim(amount string) string {
	if strings.Contains(amount, ".") {
		amount = strings.TrimRight(strings.TrimRight(amount, "0"), ".")
	}
	return amount
}
