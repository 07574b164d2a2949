// Package domain puts the parts of Amanat together: a domain is its folder, its
// migration, and its line here, with a file beside this one that says what it
// is given and whom it answers. Everything else ranges over the list.
package domain

import (
	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/job"
	"github.com/amanat-dev/amanat/internal/web"
)

// Domain is all that the program knows of one domain.
type Domain struct {
	cutover.Definition
	// Sends are the events of which it tells the others.
	Sends []event.Sent
	// Handles are those of others on which it acts; nil: none.
	Handles func(*Program) []event.Handling
	// New makes its service. What it asks other domains, it may ask only once
	// all of them are made.
	New func(p *Program, db *cutover.Domain) (Service, error)
	// Keeps says what of it keeps an account from being deleted; nil: nothing.
	Keeps func(*Program) user.Dependents
}

// Service is what a domain does: for those who call, and by itself.
type Service interface {
	// Routes registers its routes, each with who may call it.
	Routes(api *web.API)
	// Jobs are what it does now and then.
	Jobs() []job.Job
}

// All are the domains, in the order in which they would move.
var All = []Domain{
	users,
	market,
	payments,
}

// Definitions are what the databases have to know of the domains.
func Definitions() []cutover.Definition {
	all := make([]cutover.Definition, len(All))
	for i, d := range All {
		all[i] = d.Definition
	}
	return all
}
