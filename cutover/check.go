package cutover

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// mistakes collects what cannot be right about a domain: a mistake in the
// program, told at its start, all at once.
type mistakes []error

func (m *mistakes) add(format string, args ...any) { *m = append(*m, fmt.Errorf(format, args...)) }

// once tells of a name that is there a second time; what says of what.
func (m *mistakes) once(seen map[string]bool, name, format string, args ...any) {
	if name != "" && seen[name] {
		m.add(format, args...)
	}
	seen[name] = true
}

// check says what cannot be right about a domain that is to join others.
func (s Spec) check(e *Engine) error {
	var m mistakes
	switch {
	case s.Name == "":
		m.add("the domain has no name: set Definition.Name")
	case e.domains[s.Name] != nil:
		m.add("there is a domain %s already: give this one another name", s.Name)
	}
	s.checkKinds(&m)
	if len(m) == 0 { // what follows needs kinds that are right
		s.checkPlaces(&m, e)
		s.checkReferences(&m)
		s.checkQueries(&m, e)
		s.checkInvariants(&m)
		s.checkSides(&m)
	}
	if len(m) == 0 {
		return nil
	}
	return fmt.Errorf("cutover: the domain %q cannot be made:\n%w", s.Name, errors.Join(m...))
}

func (s Spec) checkKinds(m *mistakes) {
	names, types := map[string]bool{}, map[string]bool{}
	if len(s.Kinds) == 0 {
		m.add("it has no kinds: list them in Definition.Kinds, parents first")
	}
	for i, k := range s.Kinds {
		if k.Name == "" {
			m.add("kind %d has no name: set Kind.Name, in snake_case and singular", i+1)
		}
		m.once(names, k.Name, "there are two kinds %s: give one another name", k.Name)
		if k.Type == nil || !reflect.PointerTo(k.Type).Implements(reflect.TypeFor[Record]()) || k.Type.Kind() != reflect.Struct {
			m.add("kind %s: %v is no record: set Kind.Type to a struct that embeds cutover.Meta", k.Name, k.Type)
			continue
		}
		m.once(types, k.Type.String(), "kind %s: another kind has the type %s: give each its own", k.Name, k.Type)
		k.checkRules(m)
		k.checkIndexes(m)
	}
}

// ruleName is what a derived rule may be called: MongoDB's field and
// PostgreSQL's column are named after it.
var ruleName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

func (k Kind) checkRules(m *mistakes) {
	names := map[string]bool{}
	columns := map[string]bool{}
	for _, f := range k.fields() {
		columns[f.Column] = true
	}
	for _, u := range k.Unique {
		switch {
		case u.Key == nil && len(u.Fields) == 0:
			m.add("kind %s: the unique rule %q is about nothing: name Fields, or a Key with cutover.UniqueKey", k.Name, u.Name)
		case u.Key == nil:
			k.checkUniqueFields(m, u)
		case len(u.Fields) > 0:
			m.add("kind %s: the unique rule %q has Fields and a Key: leave one of them out", k.Name, u.Name)
		case !ruleName.MatchString(u.Name):
			m.add("kind %s: the derived unique rule %q needs a name of letters and digits that begins in upper case", k.Name, u.Name)
		case columns["key_"+shape.Snake(u.Name)]:
			m.add("kind %s: the unique rule %s would be kept where a field is: rename one of them", k.Name, u.Name)
		}
		m.once(names, u.Name, "kind %s: there are two unique rules %s: give one another name", k.Name, u.Name)
	}
}

// checkUniqueFields refuses fields of which the stored form is not the value: a
// database would see another rule than a reader does.
func (k Kind) checkUniqueFields(m *mistakes, u Unique) {
	for _, name := range u.Fields {
		path, err := query.Lookup(k.fields(), name)
		if err != nil {
			m.add("kind %s: a unique rule over %q: there is no such field", k.Name, name)
			continue
		}
		switch f := path.Last(); {
		case f.Class == shape.List:
			m.add("kind %s: a unique rule over the list %s: derive a key with cutover.UniqueKey", k.Name, name)
		case f.Default != "" || f.Was != nil:
			m.add("kind %s: a unique rule over %s, which is read otherwise than it is stored: derive a key with cutover.UniqueKey", k.Name, name)
		case f.Class == shape.Str && !f.Null && !f.Pointer && !path.Optional():
			m.add("kind %s: a unique rule over %s, of which the absent text would count: tag it \"null\"", k.Name, name)
		}
	}
}

func (k Kind) checkIndexes(m *mistakes) {
	seen := map[string]bool{}
	for _, i := range k.Made() {
		if len(i.Fields) == 0 {
			if i.Rule == nil {
				m.add("kind %s: an index over nothing: name its fields, or leave it out", k.Name)
			}
			continue
		}
		m.once(seen, strings.Join(i.Fields, ", "), "kind %s: two indexes over %s: leave one out; a unique rule is an index already", k.Name, strings.Join(i.Fields, ", "))
		for _, name := range i.Fields {
			path, err := query.Lookup(k.fields(), name)
			switch {
			case i.Rule != nil: // said above
			case err != nil:
				m.add("kind %s: an index over %q: there is no such field that can be asked for", k.Name, name)
			case path.Last().Class == shape.List && (path.Last().Table == "" || len(i.Fields) > 1):
				m.add("kind %s: an index over the list %s: such a list needs a table of its own (table=), and an index to itself", k.Name, name)
			}
		}
	}
}

// checkPlaces refuses tables and collections that are used twice, in this domain
// or by another.
func (s Spec) checkPlaces(m *mistakes, e *Engine) {
	tables, collections := map[string]bool{}, map[string]bool{}
	for _, c := range e.domains {
		for _, k := range c.kinds {
			collections[k.Collection] = true
			for _, table := range k.tables() {
				tables[table] = true
			}
		}
	}
	for _, k := range s.Kinds {
		m.once(collections, k.Collection, "kind %s: the collection %s is another kind's: give each its own", k.Name, k.Collection)
		for _, table := range k.tables() {
			m.once(tables, table, "kind %s: the table %s is used already: give each kind and list its own", k.Name, table)
		}
	}
}

// tables names the kind's table and those of its lists.
func (k Kind) tables() []string { return append([]string{k.Table}, listTables(k.fields())...) }

func listTables(fields []shape.Field) (out []string) {
	for _, f := range fields {
		if f.Table != "" {
			out = append(out, f.Table)
		}
		out = append(out, listTables(f.Fields)...)
	}
	return out
}

func (s Spec) checkReferences(m *mistakes) {
	unused := map[string]bool{}
	for _, name := range s.Refers {
		if _, own := s.Kinds.Named(name); own {
			m.add("Refers names %s, which is a kind of this domain: leave it out", name)
			continue
		}
		m.once(unused, name, "Refers names %s twice: leave one out", name)
	}
	for _, k := range s.Kinds {
		for _, ref := range references(k.fields()) {
			_, own := s.Kinds.Named(ref)
			if !own && !slices.Contains(s.Refers, ref) {
				m.add("kind %s: ref=%s names no kind of this domain: mend the tag, or name it in Definition.Refers if it is another domain's", k.Name, ref)
			}
			delete(unused, ref)
		}
	}
	for name := range unused {
		m.add("Refers names %s, to which no record refers: leave it out", name)
	}
}

func references(fields []shape.Field) (out []string) {
	for _, f := range fields {
		if f.Ref != "" {
			out = append(out, f.Ref)
		}
		out = append(out, references(f.Fields)...)
		if f.Elem != nil {
			out = append(out, references(f.Elem.Fields)...)
		}
	}
	return out
}

// checkQueries refuses names that stand there twice, and those that begin with
// a kind of another domain.
func (s Spec) checkQueries(m *mistakes, e *Engine) {
	seen := map[string]bool{}
	for _, q := range s.Queries {
		if q == "" {
			m.add("a View without a name among Definition.Queries: name it, such as \"payment.get\"")
		}
		m.once(seen, q, "the View %s is named twice among Definition.Queries: leave one out", q)
		about, _, _ := strings.Cut(q, ".")
		if _, own := s.Kinds.Named(about); own {
			continue
		}
		for _, c := range e.domains {
			if _, foreign := c.kinds.Named(about); foreign {
				m.add("the View %s is about a kind of the domain %s: a View is of one domain", q, c.name)
			}
		}
	}
}

func (s Spec) checkInvariants(m *mistakes) {
	seen := map[string]bool{}
	for i, inv := range s.Invariants {
		if inv.Name == "" {
			m.add("invariant %d has no name: reports name it", i+1)
		}
		m.once(seen, inv.Name, "there are two invariants %q: give one another name", inv.Name)
		if inv.Check == nil && inv.Eval == nil {
			m.add("the invariant %q states nothing: give it a Check or an Eval", inv.Name)
		}
		if inv.Check == nil && inv.Suspects != nil {
			m.add("the invariant %q has Suspects, but no Check to look at them with", inv.Name)
		}
		if _, known := s.Kinds.Named(inv.Kind); !known && (inv.Check != nil || inv.Kind != "") {
			m.add("the invariant %q is about %q, which is no kind of this domain: set its Kind", inv.Name, inv.Kind)
		}
	}
}

func (s Spec) checkSides(m *mistakes) {
	if s.Source == nil && s.Target == nil {
		m.add("it has no database: set Source, Target or both")
	}
	if s.Source != nil && s.Target != nil && sameSide(s.Source, s.Target) {
		m.add("Source and Target are the same database: a deployment on one leaves the other nil")
	}
	for _, side := range []Side{s.Source, s.Target} {
		if has, tells := side.(interface{ Kinds() Kinds }); tells && !has.Kinds().alike(s.Kinds) {
			m.add("the side of %s was made for other kinds than the domain's: make it of this Definition", side.Name())
		}
	}
}

// sameSide compares what can be compared.
func sameSide(a, b Side) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// alike says that two lists name the same kinds, of the same types, in order.
func (ks Kinds) alike(others Kinds) bool {
	return slices.EqualFunc(ks, others, func(a, b Kind) bool { return a.Name == b.Name && a.Type == b.Type })
}
