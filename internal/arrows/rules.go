package arrows

import "strings"

// rule says what the packages that match it may import of this module.
type rule struct {
	packages string
	may      []string
}

func (r rule) String() string {
	if len(r.may) == 0 {
		return r.packages + " may import nothing of this module"
	}
	return r.packages + " may import only " + strings.Join(r.may, ", ")
}

// allows says whether the arrow is permitted. A pattern with a star covers
// siblings, and a package that matches its own pattern is not its sibling:
// one domain never imports another.
func (r rule) allows(from, to string) bool { return from != to && matchAny(r.may, to) }

// ruleFor finds the first rule that covers a package.
func ruleFor(name string) (rule, bool) {
	for _, r := range rules {
		if match(r.packages, name) {
			return r, true
		}
	}
	return rule{}, false
}

// rules are all the arrows there are, from the leaves upward. A new one is a
// decision: add it here together with what it is for.
var rules = []rule{
	// Leaves: what everything else is built from.
	{"cutover/fault", nil},
	{"cutover/failpoint", nil},
	{"internal/money", []string{"cutover/fault", "cutover/shape"}},
	{"internal/chain", []string{"cutover/fault", "internal/money"}},
	{"internal/mail", []string{"cutover/fault"}},
	{"internal/limit", []string{"cutover/fault"}},
	{"internal/job", nil},

	// The engine, a package for any application: it knows no domain, and
	// nothing under cutover imports what is only this application's.
	{"cutover/shape", nil},
	{"cutover/query", []string{"cutover/shape"}},
	{"cutover/control", []string{"cutover", "cutover/fault"}},
	{"cutover/memdb", []string{"cutover", "cutover/query", "cutover/shape", "cutover/fault"}},
	{"cutover/example", []string{"cutover", "cutover/mongodb", "cutover/postgresql"}},
	{"cutover/cutovertest", []string{"cutover", "cutover/memdb", "cutover/query", "cutover/shape", "cutover/fault"}},
	{"cutover/model", []string{"cutover", "cutover/memdb", "cutover/fault"}}, // tests alone
	{"cutover", []string{"cutover/query", "cutover/shape", "cutover/fault", "cutover/failpoint"}},
	// PostgreSQL's side is fenced by the epoch that the control plane keeps in
	// the same database, and migrates its tables along.
	{"cutover/postgresql", []string{"cutover/control", "cutover", "cutover/query", "cutover/shape", "cutover/fault", "cutover/failpoint"}},
	{"cutover/mongodb", []string{"cutover", "cutover/query", "cutover/shape", "cutover/fault", "cutover/failpoint"}},

	{"internal/event", []string{"cutover", "cutover/query", "cutover/fault"}},
	{"internal/config", []string{"cutover", "cutover/fault"}},
	{"internal/web", []string{"cutover", "cutover/fault", "internal/money", "internal/limit"}},
	{"internal/web/webtest", []string{"internal/web", "cutover", "cutover/fault"}},

	// Meaning: no store, no driver, and no other domain.
	{"domain/*", []string{"cutover", "cutover/query", "cutover/fault", "internal/event", "internal/job", "internal/web", "internal/limit", "internal/money", "internal/mail", "internal/chain"}},

	// The list of them, and what each asks the others.
	{"domain", []string{"domain/*", "cutover", "cutover/fault", "internal/event", "internal/job", "internal/web", "internal/mail", "internal/config"}},

	{"internal/migrations", []string{"cutover/postgresql"}}, // the domains' tables

	{"internal/storetest", []string{"internal/devstack", "internal/migrations", "internal/event", "internal/money", "domain/*", "cutover/..."}},

	// mongosim stands for a database server: it knows the wire protocol alone.
	{"internal/devstack/mongosim", nil},
	// devstack knows nothing of the product, so that what it checks it checks
	// independently.
	{"internal/devstack/...", []string{"internal/devstack/...", "cutover/failpoint"}},
	{"internal/e2e/...", []string{"internal/e2e/...", "internal/devstack/...", "cutover/failpoint"}},
	// The peer is what the product is measured against: nothing of it is ours.
	{"bench/peer", nil},
	{"bench", []string{"internal/devstack/...", "internal/event", "internal/money", "cutover/...", "domain/*"}},
	{"cmd/demo/...", []string{"cmd/demo/...", "internal/devstack/..."}},

	// The production binary wires everything that is for production.
	{"cmd/amanat/...", []string{"cmd/amanat/...", "domain", "domain/*", "cutover/...",
		"internal/event", "internal/web", "internal/config", "internal/migrations"}},

	{"internal/arrows", nil},
}

// drivers are the modules that only some packages may import.
var drivers = []struct {
	module string
	users  []string
}{
	{"go.mongodb.org/mongo-driver", []string{"cutover/mongodb", "internal/devstack/...", "bench"}},
	{"github.com/jackc/pgx", []string{"cutover/postgresql", "cutover/control", "internal/devstack/...", "bench/..."}},
	{"database/sql", []string{"cutover/postgresql", "internal/money"}}, // money: only to be a driver.Valuer
	{"github.com/FerretDB", []string{"internal/devstack"}},
	{"github.com/tidwall/btree", []string{"internal/devstack/mongosim"}},
	{"github.com/Shopify/toxiproxy", []string{"internal/devstack/link"}},
	{"github.com/anishathalye/porcupine", []string{"internal/devstack/history"}},
}

// notLinked lists, for a program, what must not be in it even indirectly.
var notLinked = map[string][]string{
	"cmd/amanat": {Module + "/internal/devstack", Module + "/internal/storetest", Module + "/cutover/memdb", Module + "/internal/web/webtest", "github.com/FerretDB", "github.com/tidwall/btree", "github.com/Shopify/toxiproxy", "github.com/anishathalye/porcupine", "testing"},
}
