package domain

import (
	"context"
	"log/slog"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/web"
)

// World is what the domains need of what is around them.
type World struct {
	Conf config.Config
	Log  *slog.Logger
	DB   map[string]*cutover.Domain // by name
	// Leads says that this process is the one that works for all, see
	// cutover.Engine.
	Leads func() bool
}

// Program is all domains at work. What one asks another goes through it, so
// that none of them knows the others.
type Program struct {
	World
	Users    *user.Service
	Market   *marketplace.Service
	Payments *payment.Service

	domains  []Domain
	services []Service // in their order
	events   *event.Dispatcher
}

// Open makes the services of all domains. Errors: a setting that is wrong, and
// an event that somebody sends and nobody handles, or the other way round.
func Open(w World) (*Program, error) {
	p := &Program{World: w, domains: All}
	for _, d := range p.domains {
		s, err := d.New(p, w.DB[d.Name])
		if err != nil {
			return nil, err
		}
		p.services = append(p.services, s)
	}
	var err error
	p.events, err = p.dispatcher()
	return p, err
}

// dispatcher wires who handles which domain's events.
func (p *Program) dispatcher() (*event.Dispatcher, error) {
	o := event.Options{Sends: map[string][]event.Sent{}, Leads: p.Leads, Log: p.Log}
	for _, d := range p.domains {
		o.Domains = append(o.Domains, p.DB[d.Name])
		o.Sends[d.Name] = d.Sends
		if d.Handles != nil {
			o.Handlers = append(o.Handlers, d.Handles(p)...)
		}
	}
	return event.NewDispatcher(o)
}

// Routes registers the whole API.
func (p *Program) Routes(api *web.API) {
	for _, s := range p.services {
		s.Routes(api)
	}
}

// Jobs are what a serving process does besides answering. Each runs until its
// context ends, in every process, and does something in the one that leads: all
// of it may happen twice.
func (p *Program) Jobs() []func(context.Context) {
	jobs := []func(context.Context){p.events.Run}
	for _, s := range p.services {
		for _, j := range s.Jobs() {
			jobs = append(jobs, func(ctx context.Context) { j.Run(ctx, p.Leads, p.Log) })
		}
	}
	return jobs
}
