package postgres

import (
	"fmt"

	"github.com/amanat-dev/amanat/cutover"
)

// Domain is what the code expects of the database for one domain.
type Domain struct {
	Name   string
	Kinds  cutover.Kinds
	Tables []Table
}

var registry []Domain

// Domains lists every domain that this package stores.
func Domains() []Domain { return registry }

// register makes a domain's tables known to Domains, so that the comparison
// with the migrations covers them, and gives them back. A domain's file calls
// it once:
//
//	var paymentTables = register("payment", payment.Kinds, append(eventTables("payment"),
//		Table{Kind: "payment", Name: "payments"}))
func register(domain string, kinds cutover.Kinds, tables []Table) []Table {
	registry = append(registry, Domain{domain, kinds, tables})
	return tables
}

// tablesOf describes the tables of a domain by kind. It panics when kinds and
// tables do not pair up: that is a mistake in the program.
func tablesOf(kinds cutover.Kinds, tables []Table) map[string]*table {
	names := map[string]string{}
	for _, t := range tables {
		names[t.Kind] = t.Name
	}
	out := map[string]*table{}
	for i, k := range kinds {
		if names[k.Name] == "" {
			panic(fmt.Sprintf("postgres: no table is named for the kind %s", k.Name))
		}
		out[k.Name] = newTable(names[k.Name], k, i)
	}
	if len(out) != len(tables) {
		panic(fmt.Sprintf("postgres: %d tables for %d kinds", len(tables), len(out)))
	}
	return out
}
