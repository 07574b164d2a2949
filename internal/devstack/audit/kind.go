package audit

import (
	"slices"
	"strings"
)

// kind is one sort of record and where each database keeps it.
type kind struct {
	domain, name, collection, table string
	// legacy changes what MongoDB has the way domains demand for documents
	// that an earlier application wrote. May be nil.
	legacy func(record)
}

// lists are the fields whose child tables are not named after record and field.
var lists = map[string]string{
	"purchase_request_preferred_sellers": "preferred_seller_ids",
	"funds_ledger_postings":              "postings",
}

// kinds are all that there are, as the project's description of the business
// names them.
var kinds = []kind{
	{"user", "user", "users", "users", userDefaults},
	{"user", "address", "addresses", "addresses", nil},
	{"user", "temp_verification", "tempverifications", "temp_verifications", nil},
	{"marketplace", "category", "categories", "categories", nil},
	{"marketplace", "purchase_request", "purchaserequests", "purchase_requests", nil},
	{"marketplace", "seller_offer", "selleroffers", "seller_offers", activeIsPending},
	{"payment", "payment", "payments", "payments", syntheticRequest},
	{"payment", "payment_quote", "paymentquotes", "payment_quotes", nil},
	{"payment", "funds_ledger_entry", "fundsledgerentries", "funds_ledger_entries", nil},
	{"payment", "derived_destination", "deriveddestinations", "derived_destinations", nil},
	{"payment", "trezor_account", "trezoraccounts", "trezor_accounts", nil},
	{"payment", "release_hold", "releaseholds", "release_holds", nil},
	{"payment", "scanner_delivery", "scannerdeliveries", "scanner_deliveries", nil},

	{"user", "user_event", "user_events", "user_events", nil},
	{"user", "user_handled_event", "user_handled_events", "user_handled_events", nil},
	{"marketplace", "marketplace_event", "marketplace_events", "marketplace_events", nil},
	{"marketplace", "marketplace_handled_event", "marketplace_handled_events", "marketplace_handled_events", nil},
	{"payment", "payment_event", "payment_events", "payment_events", nil},
	{"payment", "payment_handled_event", "payment_handled_events", "payment_handled_events", nil},
}

func kindsOf(domains []string) []kind {
	if len(domains) == 0 {
		return kinds
	}
	var out []kind
	for _, k := range kinds {
		if slices.Contains(domains, k.domain) {
			out = append(out, k)
		}
	}
	return out
}

// activeIsPending: the offer status "active" of old reads as "pending".
func activeIsPending(r record) {
	if r["status"].text == "active" {
		r["status"] = value{text: "pending"}
	}
}

// syntheticRequest: a payment that names its request by a made-up id keeps
// that as its legacy reference.
func syntheticRequest(r record) {
	if ref := r["purchase_request_id"].text; strings.HasPrefix(ref, "template-checkout-") {
		delete(r, "purchase_request_id")
		r["legacy_reference"] = value{text: ref}
	}
}

// userDefaults: what older documents left to their schema's defaults, and the
// form of addresses by which they are found.
func userDefaults(r record) {
	for path, value := range map[string]value{"role": {text: "buyer"}, "status": {text: "active"}, "auth_provider": {text: "email"}} {
		if _, ok := r[path]; !ok {
			r[path] = value
		}
	}
	if email, ok := r["email"]; ok {
		r["email"] = value{text: strings.ToLower(strings.TrimSpace(email.text))}
	}
}

// Collections returns the names of a domain's collections in MongoDB.
func Collections(domain string) []string {
	var out []string
	for _, k := range kindsOf([]string{domain}) {
		out = append(out, k.collection)
	}
	return out
}
