package user

import "github.com/amanat-dev/amanat/cutover"

// maxAddresses is how many addresses a user may have.
const maxAddresses = 20

// Address is where something can be delivered. A user who has any has exactly
// one that is primary; every change of which one it is also writes the user's
// record, so that two such changes at once conflict.
type Address struct {
	cutover.Meta
	UserID     cutover.ID `json:"userId" field:",ref=user"`
	Label      string     `json:"label,omitempty"` // such as "home"
	FullName   string     `json:"fullName"`
	Phone      string     `json:"phone,omitempty"`
	Street     string     `json:"street"`
	City       string     `json:"city"`
	State      string     `json:"state,omitempty"`
	PostalCode string     `json:"postalCode,omitempty"`
	Country    string     `json:"country"`
	IsPrimary  bool       `json:"isPrimary"`
}

// AddressInput is what a user sends for an address; all of it replaces what
// was there, except that an absent isPrimary changes nothing.
type AddressInput struct {
	Label      string `json:"label,omitempty" maxLength:"50"`
	FullName   string `json:"fullName" minLength:"1" maxLength:"100"`
	Phone      string `json:"phone,omitempty" maxLength:"30"`
	Street     string `json:"street" format:"lines" minLength:"1" maxLength:"200"`
	City       string `json:"city" minLength:"1" maxLength:"100"`
	State      string `json:"state,omitempty" maxLength:"100"`
	PostalCode string `json:"postalCode,omitempty" maxLength:"20"`
	Country    string `json:"country" minLength:"1" maxLength:"100"`
	IsPrimary  *bool  `json:"isPrimary,omitempty"`
}

func (in AddressInput) wantsPrimary() bool { return in.IsPrimary != nil && *in.IsPrimary }

// fill replaces all but the identity, the owner and whether it is primary.
func (a *Address) fill(in AddressInput) {
	a.Label, a.FullName, a.Phone = in.Label, in.FullName, in.Phone
	a.Street, a.City, a.State = in.Street, in.City, in.State
	a.PostalCode, a.Country = in.PostalCode, in.Country
}
