package model

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// oracle knows what was acknowledged and says what must hold. w.mu guards it.
type oracle struct {
	acked    map[cutover.Key][]string // tokens of acknowledged writes that made a record
	removed  map[cutover.Key]string   // the token of an acknowledged delete
	burials  map[cutover.Key][]string // for each delete that happened, the log that it ended
	misplace map[string]bool          // tokens of writes made where the primary was not
	dirty    map[cutover.Key]bool
	all      bool // all keys are to be looked at
	problem  string
	acks     int
	strays   int
}

func (o *oracle) init(*world) {
	o.acked, o.removed = map[cutover.Key][]string{}, map[cutover.Key]string{}
	o.burials, o.misplace = map[cutover.Key][]string{}, map[string]bool{}
	o.dirty = map[cutover.Key]bool{}
}

func (o *oracle) fail(format string, args ...any) {
	if o.problem == "" {
		o.problem = fmt.Sprintf(format, args...)
	}
}

// touched has keys looked at when the step is over.
func (w *world) touched(keys ...cutover.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		w.oracle.dirty[k] = true
	}
}

// commit commits, and remembers what the writes ended and where they landed.
func (w *world) commit(ctx context.Context, s side, t *memdb.Txn, g cutover.Guard) error {
	all := t.Writes()
	ended := map[cutover.Key]string{}
	for _, wr := range all {
		if wr.Record == nil {
			ended[wr.Key] = logOf(s.DB, wr.Key)
		}
	}
	if err := w.commitTo(ctx, s, t); err != nil {
		return err
	}
	primary := w.state().Phase.PrimaryIsSource() == s.source
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.txns, t)
	o := &w.oracle
	for _, wr := range all {
		o.dirty[wr.Key] = true
		token := "delete " + wr.Key.String()
		if wr.Record == nil {
			o.burials[wr.Key] = append(o.burials[wr.Key], ended[wr.Key])
		} else {
			log := wr.Record.(*entry).Log
			token = lastToken(log)
		}
		if !primary {
			o.misplace[token] = true
			o.strays++
		}
	}
	return nil
}

func lastToken(log string) string {
	rest := strings.TrimSuffix(log, ";")
	return rest[strings.LastIndexByte(rest, ';')+1:] + ";"
}

// applied looks at copies that came in.
func (w *world) applied(ctx context.Context, s side, in []cutover.Item) {
	if w.mutant == noTombstone {
		_ = s.DB.ForgetTombstones(ctx, 0)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range in {
		w.oracle.dirty[i.Key] = true
	}
}

// advanced looks at everything after a change of state.
func (w *world) advanced(ctx context.Context, from, to cutover.State) {
	w.afterAdvance(ctx, from, to)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.oracle.all = true
}

// acknowledged takes down that a client heard of success.
func (w *world) acknowledged(a attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &w.oracle
	o.acks++
	for _, k := range a.keys {
		o.dirty[k] = true
		token := a.token
		if a.gone {
			o.removed[k] = a.token
			token = "delete " + k.String()
		} else {
			o.acked[k] = append(o.acked[k], a.token)
		}
		if o.misplace[token] && !a.gone {
			o.fail("the write %s of %s was acknowledged, but was made in a database that was not the primary", a.token, short(k.ID))
		}
	}
}

// seen is what an answer that begins now must show.
type mustShow struct {
	tokens  []string
	removed bool
}

func (w *world) mustSee(k cutover.Key) mustShow {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &w.oracle
	return mustShow{slices.Clone(o.acked[k]), o.removed[k] != ""}
}

// read judges what a client was shown.
func (w *world) read(p *process, k cutover.Key, must mustShow, log string, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why := w.oracle.lacks(k, must, log, there); why != "" {
		w.oracle.fail("%s was shown %s as it was before: %s", p.name, short(k.ID), why)
	}
}

// lacks says what is missing of a record.
func (o *oracle) lacks(k cutover.Key, must mustShow, log string, there bool) string {
	if there {
		if must.removed {
			return "it is there although its deletion was acknowledged"
		}
		return missing(must.tokens, log)
	}
	if len(must.tokens) == 0 {
		return ""
	}
	why := "nobody has deleted it"
	for _, ended := range o.burials[k] {
		if why = missing(must.tokens, ended); why == "" {
			return ""
		}
	}
	return "it is gone: " + why
}

func missing(tokens []string, log string) string {
	for _, t := range tokens {
		if n := strings.Count(";"+log, ";"+t); n != 1 {
			return fmt.Sprintf("the acknowledged write %s is in it %d times: %q", t, n, log)
		}
	}
	return ""
}

func logOf(db *memdb.DB, k cutover.Key) string {
	r, ok := recordOf(db, k)
	if !ok {
		return ""
	}
	return r.Log
}

func recordOf(db *memdb.DB, k cutover.Key) (*entry, bool) {
	all, _ := db.Get(context.Background(), []cutover.Key{k})
	if all[0].Record == nil {
		return nil, false
	}
	return all[0].Record.(*entry), true
}

// check says what does not hold after a step; "" when all does.
func (w *world) check() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &w.oracle
	if o.problem != "" || !o.all && len(o.dirty) == 0 {
		return o.problem
	}
	s := w.state()
	if s.Epoch == 0 {
		return ""
	}
	alike := w.mustBeAlike(s)
	for n := 1; n <= w.keys; n++ {
		k := keyOf(n)
		if !o.all && !o.dirty[k] {
			continue
		}
		w.checkKey(s, k, alike)
	}
	o.all = false
	clear(o.dirty)
	return o.problem
}

// databases returns the primary and the secondary.
func (w *world) databases(s cutover.State) (primary, secondary *memdb.DB) {
	if s.Phase.PrimaryIsSource() {
		return w.source, w.target
	}
	return w.target, w.source
}

// mustBeAlike says that the secondary is complete but for the journal.
func (w *world) mustBeAlike(s cutover.State) bool {
	if s.Phase == cutover.PhaseMirror {
		return true
	}
	if s.Phase != cutover.PhaseDual {
		return false
	}
	since := w.dualSince()
	progress, _ := w.control.Progress(context.Background(), domainName, since)
	return len(progress) == 1 && progress[0].Done == progress[0].Chunks
}

func (w *world) dualSince() int64 {
	history, _ := w.control.History(context.Background(), domainName, 1<<20)
	for _, h := range history {
		if h.From.Phase == cutover.PhaseSource && h.To.Phase == cutover.PhaseDual {
			return h.To.Epoch
		}
	}
	return 0
}

func (w *world) checkKey(s cutover.State, k cutover.Key, alike bool) {
	o := &w.oracle
	primary, secondary := w.databases(s)
	r, there := recordOf(primary, k)
	log := ""
	if there {
		log = r.Log
	}
	if why := o.lacks(k, mustShow{o.acked[k], o.removed[k] != ""}, log, there); why != "" {
		o.fail("%s in %s, the primary (%s): %s", short(k.ID), primary.Name(), stateText(s), why)
	}
	if !alike {
		return
	}
	c, copied := recordOf(secondary, k)
	if there == copied && (!there || r.Log == c.Log && r.Rev == c.Rev) {
		return
	}
	if !w.onRecord(primary, secondary, k) {
		o.fail("%s differs between the databases (%s), and neither journal nor gaps say so: primary %s, secondary %s",
			short(k.ID), stateText(s), describe(r), describe(c))
	}
}

func describe(r *entry) string {
	if r == nil {
		return "nothing"
	}
	return fmt.Sprintf("@%d %q", r.Rev, r.Log)
}

// onRecord says that a difference is announced: by a note, by a gap, or by a
// stray write's note in the secondary.
func (w *world) onRecord(primary, secondary *memdb.DB, k cutover.Key) bool {
	has := func(n cutover.Note) bool { return n.Key == k }
	if slices.ContainsFunc(w.allNotes(primary), has) || slices.ContainsFunc(w.allNotes(secondary), has) {
		return true
	}
	gaps, _ := w.control.Gaps(context.Background(), domainName, true, 100)
	return slices.ContainsFunc(gaps, func(g cutover.Gap) bool { return g.ID == k.ID.String() })
}

func (w *world) allNotes(db *memdb.DB) []cutover.Note {
	all, _ := db.Notes(context.Background(), 1<<20)
	if db == w.source {
		all = append(all, w.apart...)
	}
	return all
}
