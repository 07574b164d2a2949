package cutover

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Stray is a record that somebody else than the copier wrote to the secondary,
// as both databases have it now.
type Stray struct {
	Kind   string    `json:"kind"`
	ID     string    `json:"id"`
	Notice string    `json:"notice"`          // what noticed it: note, copier or verify
	At     time.Time `json:"at,omitzero"`     // when it was written; zero when that is not known
	Epoch  int64     `json:"epoch,omitempty"` // in which its writer thought the domain to be; 0 when that is not known
	Source string    `json:"source"`          // what the source has of it: record, deleted, missing or unreadable
	Target string    `json:"target"`          // likewise the target
	// Fields are those that differ, with both values; none when the versions
	// are alike.
	Fields []FieldDiff `json:"fields,omitempty"`
}

// Ways in which a stray write is noticed: by the note that a writer of this
// engine left, which had not heard of a step; by the copier, which met a later
// revision than its own; by a comparison.
const (
	noticedByNote   = "note"
	noticedByCopier = "copier"
	noticedByVerify = "verify"
)

// outrunReason begins the reason of the gap with which the copier notices a
// stray write.
const outrunReason = "somebody wrote to the copy"

// straysShown is how many stray writes are looked for.
const straysShown = 1000

// strays are the writes that somebody made past the move: in the secondary, by a
// process that had not heard that it is no longer the primary.
type strays struct {
	*base
	evidence *evidence
}

// strayNotes returns the notes that are in the journal of s's secondary: of what
// was written there by a process that had not heard that it is no longer the
// primary, and never answered with success. A handover would make
// them good. The notes of waived gaps are there too, from when it was primary.
func (c *strays) strayNotes(ctx context.Context, s State) ([]Note, error) {
	_, secondary := c.stores(s)
	notes, err := secondary.Notes(ctx, straysShown)
	if err != nil {
		return nil, err
	}
	gaps, err := c.evidence.gapsOf(ctx, keysOf(notes))
	return slices.DeleteFunc(notes, func(n Note) bool { return gaps[n.Key.String()].WaivedBy != "" }), err
}

// strays returns the records of strayNotes.
func (c *strays) strays(ctx context.Context, s State) ([]Key, error) {
	notes, err := c.strayNotes(ctx, s)
	return keysOf(notes), err
}

// outrun puts into failed the records of which the database that gets copies
// had a revision that was never written to the one where they come from. A
// stray write that left a note is left out: the note tells of it.
func (c *strays) outrun(ctx context.Context, from, to Store, ahead map[Key]int64, failed map[Key]error) error {
	if len(ahead) == 0 {
		return nil
	}
	notes, err := to.Notes(ctx, straysShown)
	if err != nil {
		return err
	}
	for _, n := range notes {
		delete(ahead, n.Key)
	}
	// Read after the later revision was seen: what another copier has brought
	// meanwhile is here too.
	now, err := from.Get(ctx, slices.Collect(maps.Keys(ahead)))
	for _, item := range now {
		there := ahead[item.Key]
		if item.Rev < there && !item.Missing() || item.Deleted && item.Rev == there {
			failed[item.Key] = fmt.Errorf("%s: it has revision %d, and %s has %d",
				outrunReason, there, from.Name(), item.Rev)
		}
	}
	return err
}

// Strays lists what somebody else than the copier wrote to a domain's
// secondary, as far as that was noticed, and compares each record now: the
// notes that are there, the records at which the copier met a later revision,
// and those that the newest verify found to differ.
func (e *Engine) Strays(ctx context.Context, domain string) ([]Stray, error) {
	c, s, err := e.copying(ctx, domain)
	if err != nil {
		return nil, err
	}
	noticed, err := c.strays.noticed(ctx, s)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(noticed))
	for i, n := range noticed {
		keys[i] = n.key
	}
	pairs, err := c.both().fetch(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := []Stray{}
	for i, p := range pairs {
		stray := p.stray(noticed[i])
		if stray.Notice != noticedByNote && len(stray.Fields) == 0 && stray.Source == stray.Target {
			continue // alike by now
		}
		out = append(out, stray)
	}
	return out, nil
}

// copying returns a domain that is in a phase in which one database follows the
// other.
func (e *Engine) copying(ctx context.Context, domain string) (*domainCore, State, error) {
	c, err := e.core(domain)
	if err != nil {
		return nil, State{}, err
	}
	if err := c.needBoth(); err != nil {
		return nil, State{}, err
	}
	s, err := c.states.recorded(ctx)
	if err == nil && !s.Phase.Copies() {
		err = fault.New(fault.Conflict, "%s is in phase %s; only in dual and mirror are both databases kept alike", domain, s.Phase)
	}
	return c, s, err
}

// noticed is a record that may be a stray, and why.
type noticed struct {
	key   Key
	by    string
	at    time.Time
	epoch int64
}

func (c *strays) noticed(ctx context.Context, s State) ([]noticed, error) {
	var all []noticed
	seen := map[Key]bool{}
	add := func(n noticed) {
		if !seen[n.key] {
			seen[n.key] = true
			all = append(all, n)
		}
	}
	notes, err := c.strayNotes(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		add(noticed{n.Key, noticedByNote, n.At, n.Epoch})
	}
	gaps, err := c.engine.opts.Control.Gaps(ctx, c.name, true, straysShown)
	if err != nil {
		return nil, err
	}
	for _, g := range gaps {
		if id, err := ParseID(g.ID); err == nil && strings.HasPrefix(g.Reason, outrunReason) {
			add(noticed{key: Key{g.Kind, id}, by: noticedByCopier})
		}
	}
	verify, err := c.evidence.verifyOfPhase(ctx)
	if err != nil || verify == nil {
		return all, err
	}
	for _, d := range verify.Diffs {
		if id, err := ParseID(d.ID); err == nil {
			add(noticed{key: Key{d.Kind, id}, by: noticedByVerify})
		}
	}
	return all, nil
}

func (p pair) stray(n noticed) Stray {
	return Stray{Kind: p.key.Kind, ID: p.key.ID.String(), Notice: n.by, At: n.at, Epoch: n.epoch,
		Source: p.source.text(), Target: p.target.text(), Fields: p.sides()}
}

// text says what there is of a record.
func (i Item) text() string {
	switch {
	case i.Err != nil:
		return "unreadable"
	case i.Deleted:
		return "deleted"
	case i.Record == nil:
		return "missing"
	}
	return "record"
}

// sides returns the fields that differ, with both values; all of them where only
// one side has a record.
func (p pair) sides() []FieldDiff {
	var source, target []FieldValue
	if p.source.Record != nil {
		source = Canonical(p.source.Record)
	}
	if p.target.Record != nil {
		target = Canonical(p.target.Record)
	}
	return DiffRecords(source, target)
}

// ForgetAlike takes the notes of stray writes off whose records are alike on
// both sides by now, and says how many: they tell of nothing any more, and
// would hold every step. It does so in the coordinator's place, since after a
// handover they would be notes like any other.
func (e *Engine) ForgetAlike(ctx context.Context, domain string) (int, error) {
	c, _, err := e.copying(ctx, domain)
	if err != nil {
		return 0, err
	}
	forgot := 0
	err = c.states.inPlace(ctx, "try again", func(ctx context.Context) error {
		_, s, err := e.copying(ctx, domain)
		if err != nil {
			return err
		}
		if s.Sealed {
			return fault.New(fault.Conflict, "%s is sealed: a running process has to open it first", domain)
		}
		forgot, err = c.strays.forgetAlike(ctx, s)
		return err
	})
	return forgot, err
}

func (c *strays) forgetAlike(ctx context.Context, s State) (int, error) {
	notes, err := c.strayNotes(ctx, s)
	if err != nil || len(notes) == 0 {
		return 0, err
	}
	keys := keysOf(notes)
	pairs, err := c.both().fetch(ctx, keys)
	if err != nil {
		return 0, err
	}
	alike := map[Key]bool{}
	for _, p := range pairs {
		alike[p.key] = p.same()
	}
	notes = slices.DeleteFunc(notes, func(n Note) bool { return !alike[n.Key] })
	_, secondary := c.stores(s)
	return len(notes), secondary.Forget(ctx, notes)
}
