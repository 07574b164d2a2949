package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/event"
)

// Checks of the processes and of each domain's move.

func (d *doctor) checkProcesses(ctx context.Context) (err error) {
	if d.processes, err = d.plane.Processes(ctx); err != nil {
		return err
	}
	versions := map[string]bool{}
	alive := 0
	for _, p := range d.processes {
		if !p.Alive {
			d.warn(p.ID, "see what became of it; one that stops properly leaves no trace",
				"lost: on %s, pid %d, last seen %s ago", p.Host, p.PID, d.now().Sub(p.Seen).Round(time.Second))
			continue
		}
		alive++
		versions[p.Version] = true
		if behind := d.behind(p); behind != "" {
			d.warn(p.ID, "wait; if it stays so, restart it", "alive, but not on the recorded epoch of %s", behind)
			continue
		}
		d.ok(p.ID, "alive: on %s, pid %d, version %s", p.Host, p.PID, strings.TrimSpace(p.Version))
	}
	if alive == 0 {
		d.warn("", "amanat serve", "no process is running")
	}
	if len(versions) > 1 {
		d.warn("", "bring them all to one version before the next step of a move", "the processes are of %d versions", len(versions))
	}
	return nil
}

// behind names the domains in which a process works on an earlier epoch.
func (d *doctor) behind(p cutover.Process) string {
	var names []string
	for name, s := range d.states {
		if acked, serves := p.Acks[name]; serves && acked < s.Epoch {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// recorded returns what is known of a domain's state: from the control plane, or
// without one from MongoDB's copy.
func (d *doctor) recorded(ctx context.Context, domain string) (cutover.State, error) {
	if d.plane != nil {
		return d.states[domain], nil
	}
	if !d.has[needMongo] {
		return cutover.State{}, nil
	}
	return d.engine.MirroredState(ctx, domain)
}

func (d *doctor) checkPhases(ctx context.Context) error {
	for _, domain := range d.engine.Domains() {
		s, err := d.recorded(ctx, domain)
		if err != nil {
			return err
		}
		switch {
		case d.plane != nil && !d.has[needTables]:
			d.warn(domain, "", "not checked: %s", d.away[needTables])
		case s.Phase == "":
			d.ok(domain, "no process has served it yet")
		case d.plane == nil && s.Phase != cutover.PhaseSource:
			d.fail(domain, "set PG_URL", "others have moved it: it is in phase %s, which needs PostgreSQL", s.Phase)
		default:
			d.checkFlag(domain, s)
		}
	}
	return nil
}

func (d *doctor) checkFlag(domain string, s cutover.State) {
	if problem := d.flagProblem(domain, s.Phase); problem != "" {
		found, remedy, _ := strings.Cut(problem, ": ")
		d.fail(domain, remedy, "%s", found)
		return
	}
	expected := "no flag is set"
	if flag, variable := d.conf.Repo.Of(domain); flag != "" {
		expected = fmt.Sprintf("as %s=%s expects", variable, flag)
	}
	d.ok(domain, "in phase %s, epoch %d; %s", s.Phase, s.Epoch, expected)
}

// checkKept compares MongoDB's copy of each state with the control plane: by
// it processes start, and fence their writes, while PostgreSQL is away.
func (d *doctor) checkKept(ctx context.Context) error {
	if d.plane == nil {
		return nil
	}
	if !d.has[needTables] {
		d.warn("", "", "not checked: %s", d.away[needTables])
		return nil
	}
	for _, domain := range d.engine.Domains() {
		s, known := d.states[domain]
		kept, err := d.engine.MirroredState(ctx, domain)
		switch {
		case err != nil:
			return err
		case !known && kept.Epoch == 0:
		case kept.Epoch > s.Epoch:
			d.fail(domain, "stop the processes; the control plane was set back, by a backup perhaps: bring back the newer one",
				"MongoDB knows of epoch %d, the control plane of %d", kept.Epoch, s.Epoch)
		case kept == s:
			d.ok(domain, "as recorded: phase %s, epoch %d", s.Phase, s.Epoch)
		case kept.Epoch == s.Epoch:
			d.fail(domain, "find out which one is right; epochs are never used twice",
				"MongoDB has %s, the control plane %s, both in epoch %d", stateText(kept), stateText(s), s.Epoch)
		default:
			d.warn(domain, "a running amanat serve brings it up to date", "MongoDB is behind: epoch %d, recorded is %d", kept.Epoch, s.Epoch)
		}
	}
	return nil
}

func stateText(s cutover.State) string {
	if s.Sealed {
		return string(s.Phase) + ", sealed"
	}
	return string(s.Phase)
}

// checkSeals finds writes that are held back with nobody there to let them go.
func (d *doctor) checkSeals(ctx context.Context) error {
	for _, domain := range d.engine.Domains() {
		if !d.states[domain].Sealed {
			continue
		}
		led, err := d.plane.Led(ctx, cutover.CoordinatorRole(domain))
		if err != nil {
			return err
		}
		// A step may have ended between the two looks.
		now, err := d.plane.States(ctx)
		switch {
		case err != nil:
			return err
		case now[domain] != d.states[domain]:
			d.ok(domain, "a step of it has just been made")
		case led:
			d.warn(domain, "", "a step is under way, and writes are held back")
		default:
			d.fail(domain, "start amanat serve: any process opens it within seconds", "sealed without a coordinator: all writes wait")
		}
	}
	if len(d.states) > 0 && !slices.ContainsFunc(d.findings, func(f finding) bool { return f.Check == d.check }) {
		d.ok("", "no domain is sealed")
	}
	return nil
}

// checkCopies looks at a move under way: who copies, how late, what could not
// be copied, and what was written to the secondary.
func (d *doctor) checkCopies(ctx context.Context) error {
	for _, domain := range d.engine.Domains() {
		if !d.states[domain].Phase.Copies() {
			continue
		}
		s, err := d.engine.Status(ctx, domain)
		if err != nil {
			return err
		}
		faults := len(d.findings)
		if err := d.checkCopier(ctx, domain); err != nil {
			return err
		}
		if s.Problem != "" {
			d.fail(domain, "", "%s", s.Problem)
		}
		if s.OpenGaps > 0 {
			d.fail(domain, "amanat gaps list "+domain, "%d records could not be copied", s.OpenGaps)
		}
		if s.Strays > 0 {
			d.fail(domain, "amanat cutover strays "+domain, "%d stray writes in the secondary", s.Strays)
		}
		if s.Settings.CopyPaused {
			d.warn(domain, "amanat cutover resume "+domain, "copying is paused")
		}
		if lag := time.Duration(s.LagMS * float64(time.Millisecond)); lag > lagWarned {
			d.warn(domain, "amanat cutover status "+domain, "copies are %s late", lag.Round(time.Second))
		}
		if len(d.findings) == faults {
			d.ok(domain, "copied, %d notes to go; no gaps, no stray writes", s.Notes)
		}
	}
	return nil
}

const lagWarned = 5 * time.Second

// checkCopier asks whether a process copies, if any runs at all.
func (d *doctor) checkCopier(ctx context.Context, domain string) error {
	led, err := d.plane.Led(ctx, cutover.LeaderRole())
	if err == nil && !led && slices.ContainsFunc(d.processes, func(p cutover.Process) bool { return p.Alive }) {
		d.fail(domain, "restart a process that has both PG_URL and MONGODB_URI", "processes run, and none of them copies")
	}
	return err
}

const (
	handWritesSince  = 7 * 24 * time.Hour
	handWritesListed = 20
	// othersSince is looked back at where nobody knows when the engine took over.
	othersSince = time.Hour
)

// checkPostgresWriters lists who wrote past the guard on record; see the
// command's help for what that shows.
func (d *doctor) checkPostgresWriters(ctx context.Context) error {
	writes, err := d.pg.HandWrites(ctx, d.now().Add(-handWritesSince), handWritesListed)
	if err != nil {
		return err
	}
	for _, w := range writes {
		d.warn(w.Table, "amanat verify compares what is in both databases",
			"%s by hand at %s by %s: %s", w.Operation, moment(w.At), w.Who, oneLine(w.Why, 80))
	}
	if len(writes) == 0 {
		d.ok("PostgreSQL", "the guards are asked for by tables; nobody wrote by hand in the last week")
	}
	return nil
}

// checkMongoWriters finds documents that something else has written.
func (d *doctor) checkMongoWriters(ctx context.Context) error {
	for _, domain := range d.engine.Domains() {
		s, err := d.recorded(ctx, domain)
		if err != nil {
			return err
		}
		since, known, err := d.engineSince(ctx, domain)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		bypassed := false
		for _, kind := range d.engine.Kinds(domain) {
			o, err := d.mongo.WrittenByOthers(ctx, kind.Name, since)
			if err != nil {
				return err
			}
			if o.Count > 0 {
				bypassed = true
				d.bypassed(domain, s.Phase, o)
			}
		}
		if !bypassed {
			d.ok(domain, "MongoDB has nothing without a revision since %s", moment(since))
		}
	}
	return nil
}

// bypassed tells of documents that something else wrote. Before a move that
// only costs conflicts that are not seen; while copies are made they never
// reach the other database, and after it nobody reads them.
func (d *doctor) bypassed(domain string, phase cutover.Phase, o mongodb.Others) {
	count := fmt.Sprint(o.Count)
	if o.Count >= mongodb.OthersCounted {
		count += " or more"
	}
	text := fmt.Sprintf("something but the engine wrote to %s: %s documents, the last at %s, _id %s",
		o.Collection, count, moment(o.Last), oneLine(o.Example, 40))
	const remedy = "stop the other program that writes there"
	if phase == cutover.PhaseSource || phase == "" {
		d.warn(domain, remedy, "%s", text)
		return
	}
	d.fail(domain, remedy, "%s", text)
}

// engineSince returns a time at which a domain was under the engine for sure; not
// known when no process has served it yet.
func (d *doctor) engineSince(ctx context.Context, domain string) (time.Time, bool, error) {
	if d.plane == nil {
		return d.now().Add(-othersSince), true, nil
	}
	if !d.has[needTables] {
		return time.Time{}, false, nil
	}
	return d.plane.ServedSince(ctx, domain)
}

// checkEvents counts the parked events in the primary of each domain that sends
// some. Why a primary does not answer, other checks have told.
func (d *doctor) checkEvents(ctx context.Context) error {
	for _, def := range domain.All {
		s, err := d.recorded(ctx, def.Name)
		if err != nil {
			return err
		}
		side, there := d.spec(def.Definition).Target, d.has[needTables]
		if s.Phase.PrimaryIsSource() {
			side, there = d.spec(def.Definition).Source, d.has[needMongo]
		}
		if len(def.Sends) == 0 || s.Phase == "" || side == nil || !there {
			continue
		}
		if err := d.countParked(ctx, def.Name, side); err != nil {
			return err
		}
	}
	return nil
}

func (d *doctor) countParked(ctx context.Context, domain string, side cutover.Side) error {
	var n int64
	err := side.View(ctx, func(ctx context.Context, tx cutover.Tx) (err error) {
		n, err = event.CountParked(ctx, tx)
		return err
	})
	switch {
	case err != nil:
		return err
	case n > 0:
		d.warn(domain, "see what they are: amanat events list "+domain, "%d events are parked: other domains have not been told of what happened", n)
	default:
		d.ok(domain, "no events are parked")
	}
	return nil
}
