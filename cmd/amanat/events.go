package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/event"
)

// retryAtOnce is how many parked events one step of "events retry --all" takes.
const retryAtOnce = 100

// droppedDocument is the type of the documents that keep dropped events.
const droppedDocument = "dropped_event"

func (c *cli) eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "What one domain has not been able to tell another",
		Long: `What one domain has not been able to tell another. An event whose handling fails is
tried again, after a second, then after longer and longer rests. After two hours it is
parked: it waits until it is retried or dropped by hand. Neither holds up others.`,
		Example: "  amanat events list",
	}
	cmd.AddCommand(c.eventsListCommand(), c.eventsRetryCommand(), c.eventsDropCommand())
	return group(cmd)
}

// withEvents runs do with the domain that args names first, or with all that
// send events.
func (c *cli) withEvents(ctx context.Context, args []string, do func(*app, []*cutover.Domain) error) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		names := senders()
		if len(args) > 0 {
			if !slices.Contains(names, args[0]) {
				return fault.New(fault.Invalid, "no domain %q sends events; there are %s", args[0], strings.Join(names, ", "))
			}
			names = args[:1]
		}
		if err := a.engine.Open(ctx); err != nil {
			return err
		}
		var domains []*cutover.Domain
		for _, name := range names {
			domains = append(domains, a.domains[name])
		}
		return do(a, domains)
	})
}

// senders names the domains that send events.
func senders() (names []string) {
	for _, d := range domain.All {
		if len(d.Sends) > 0 {
			names = append(names, d.Name)
		}
	}
	return names
}

func (c *cli) eventsListCommand() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:     "list [domain]",
		Short:   "List the events that are not delivered, the parked ones first",
		Long:    "List the events that are not delivered, the parked ones first. The exit status is 0 also when there are some.",
		Example: "  amanat events list payment\n  amanat events list --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usage(cmd, "--limit %d: want 1 or more", limit)
			}
			return c.withEvents(cmd.Context(), args, func(_ *app, domains []*cutover.Domain) error {
				return c.listEvents(cmd.Context(), domains, limit, asJSON)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many of a domain that are parked, and how many that are not")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// listedEvent is an event as "events list --json" shows it.
type listedEvent struct {
	Domain string `json:"domain"`
	event.Event
}

func (c *cli) listEvents(ctx context.Context, domains []*cutover.Domain, limit int, asJSON bool) error {
	all := []listedEvent{}
	for _, d := range domains {
		events, err := event.List(ctx, d, limit)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
		for _, e := range events {
			all = append(all, listedEvent{d.Name(), e})
		}
	}
	slices.SortStableFunc(all, func(a, b listedEvent) int { return order(a.Parked) - order(b.Parked) })
	if asJSON {
		return c.printJSON(all)
	}
	var rows [][]string
	for _, e := range all {
		rows = append(rows, []string{e.Domain, e.ID.String(), e.Type, eventState(e.Event), eventStory(e.Event)})
	}
	return c.printTable("All events are delivered.", []string{"DOMAIN", "ID", "TYPE", "STATE", "REASON"}, rows)
}

func order(parked bool) int {
	if parked {
		return 0
	}
	return 1
}

func eventState(e event.Event) string {
	switch {
	case e.Parked:
		return "parked"
	case e.NextAt.IsZero():
		return "new"
	}
	return "waits"
}

// eventStory says why an event is not delivered yet, and what comes next.
func eventStory(e event.Event) string {
	switch {
	case e.Attempts == 0:
		return "-"
	case e.Parked:
		return fmt.Sprintf("%s (%d attempts)", oneLine(e.Reason, 120), e.Attempts)
	}
	return fmt.Sprintf("%s (%d attempts, next %s UTC)", oneLine(e.Reason, 120), e.Attempts, e.NextAt.UTC().Format(time.TimeOnly))
}

func (c *cli) eventsRetryCommand() *cobra.Command {
	var all, execute bool
	cmd := &cobra.Command{
		Use:   "retry <domain> [<id>]",
		Short: "Have an event delivered now, or all that are parked",
		Long: `Have an event delivered now, as if it had never been tried, or with --all every
parked one of the domain. A serving process delivers it. Without --execute nothing is
changed.`,
		Example: "  amanat events retry payment 665f1b2c9a8b7c6d5e4f3a21 --execute\n  amanat events retry payment --all --execute",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 2) {
				return usage(cmd, "name an id, or give --all")
			}
			return c.withEvents(cmd.Context(), args, func(_ *app, domains []*cutover.Domain) error {
				if all {
					return c.retryParked(cmd.Context(), domains[0], execute)
				}
				return c.retryEvent(cmd.Context(), domains[0], args[1], execute)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all parked events of the domain")
	cmd.Flags().BoolVar(&execute, "execute", false, "do it")
	return cmd
}

func (c *cli) retryParked(ctx context.Context, d *cutover.Domain, execute bool) error {
	if !execute {
		n, err := cutover.View(ctx, d, event.QueryPending, event.CountParked)
		if err != nil {
			return err
		}
		return c.say("%s: %d parked events would be retried\nNothing was changed; do it with: --execute\n", d.Name(), n)
	}
	total := 0
	for {
		n, err := event.RetryParked(ctx, d, retryAtOnce)
		if total += n; err != nil || n < retryAtOnce {
			return errors.Join(c.say("%s: %d events are retried\n", d.Name(), total), err)
		}
	}
}

func (c *cli) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

func (c *cli) retryEvent(ctx context.Context, d *cutover.Domain, text string, execute bool) error {
	e, err := namedEvent(ctx, d, text)
	if err != nil {
		return err
	}
	if !execute {
		return c.say("%s: %s %s would be retried\nNothing was changed; do it with: --execute\n", d.Name(), e.Type, e.ID)
	}
	if e, err = event.Retry(ctx, d, e.ID); err != nil {
		return err
	}
	return c.say("%s: %s %s is retried\n", d.Name(), e.Type, e.ID)
}

func namedEvent(ctx context.Context, d *cutover.Domain, text string) (event.Event, error) {
	id, err := cutover.ParseID(text)
	if err != nil {
		return event.Event{}, fault.Wrap(err, fault.Invalid, "this is no id")
	}
	return event.Get(ctx, d, id)
}

func (c *cli) eventsDropCommand() *cobra.Command {
	var why, who string
	var execute bool
	cmd := &cobra.Command{
		Use:   "drop <domain> <id>",
		Short: "Give an event up: nobody will be told of it",
		Long: `Give an event up: nobody will be told of it. It is printed and goes on record as it
was, with the reason. Without --execute nothing is changed.`,
		Example: "  amanat events drop payment 665f1b2c9a8b7c6d5e4f3a21 --why \"its request was a test\" --execute",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return usage(cmd, "say why: --why \"…\"")
			}
			return c.withEvents(cmd.Context(), args, func(a *app, domains []*cutover.Domain) error {
				return c.dropEvent(cmd.Context(), a, domains[0], args[1], dropped{Who: who, Why: why}, execute)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "the reason, for the record")
	cmd.Flags().StringVar(&who, "who", operator(), "who drops it, for the record")
	cmd.Flags().BoolVar(&execute, "execute", false, "do it")
	return cmd
}

// dropped is what goes on record of an event that was given up.
type dropped struct {
	Who   string      `json:"who"`
	Why   string      `json:"why"`
	Event event.Event `json:"event"`
}

func (c *cli) dropEvent(ctx context.Context, a *app, d *cutover.Domain, text string, r dropped, execute bool) (err error) {
	if r.Event, err = namedEvent(ctx, d, text); err != nil {
		return err
	}
	if execute {
		if r.Event, err = event.Drop(ctx, d, r.Event.ID); err != nil {
			return err
		}
	}
	if err := c.printJSON(r.Event); err != nil {
		return err
	}
	if !execute {
		return c.say("%s: this event would be dropped\nNothing was changed; do it with: --execute\n", d.Name())
	}
	a.log.Warn("event dropped", "domain", d.Name(), "event", r.Event.ID.String(), "type", r.Event.Type, "who", r.Who, "why", r.Why)
	return a.keepDropped(ctx, d.Name(), r)
}

// keepDropped puts a dropped event on record, where there is a control plane.
func (a *app) keepDropped(ctx context.Context, domain string, r dropped) error {
	if a.plane == nil {
		return nil
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return a.plane.SaveDocument(ctx, cutover.Document{ID: r.Event.ID.String(), Domain: domain, Type: droppedDocument,
		At: cutover.Now(), Who: r.Who, OK: true, Body: body})
}
