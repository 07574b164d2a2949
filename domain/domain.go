// Package domain lists what Amanat is about: a domain is its folder, its
// migration, and its line here. Everything else ranges over the list.
package domain

import (
	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
)

// All are the domains, in the order in which they would move.
var All = []cutover.Definition{
	user.Definition,
	marketplace.Definition,
	payment.Definition,
}
