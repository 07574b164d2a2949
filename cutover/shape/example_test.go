package shape_test

import (
	"fmt"
	"reflect"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// A record's tags say how it is stored: in MongoDB a field has its name, in
// PostgreSQL the column; a list may have a table of its own.
func Example() {
	type line struct {
		Product string `json:"product"`
		Count   int    `json:"count"`
	}
	type order struct {
		CustomerID string `json:"customerId"`
		Total      Hours  `json:"total"` // any type that is shape.Numeric
		Lines      []line `json:"lines" field:",table=order_lines"`
		Notes      []line `json:"notes" field:",jsonb"`
		Password   string `json:"-" field:"passwordHash"`
		Discount   *Hours `json:"discount"`
	}
	for _, f := range shape.Of(reflect.TypeFor[order]()) {
		fmt.Println(f.Name, f.Column, f.Table, f.JSONB, f.Secret, f.Number.Digits, f.Pointer)
	}
	// Output:
	// customerId customer_id  false false 0 false
	// total total  false false 9 false
	// lines lines order_lines false false 0 false
	// notes notes  true false 0 false
	// passwordHash password_hash  false true 0 false
	// discount discount  false false 9 true
}

// What contradicts itself, or is misspelt, panics when the program starts.
func ExampleOf() {
	defer func() { fmt.Println(recover()) }()
	type order struct {
		Total int `json:"total" field:",uniqe"`
	}
	shape.Of(reflect.TypeFor[order]())
	// Output: shape: shape_test.order.Total: there is no word "uniqe"
}
