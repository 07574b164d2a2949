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
	{"fault", nil},
	{"internal/step", nil},
	{"money", []string{"fault"}},
	{"chain", []string{"fault", "money"}},
	{"mail", []string{"fault"}},

	// The engine knows no domain and no store.
	{"cutover/shape", nil},
	{"cutover/query", []string{"cutover/shape"}},
	{"cutover/control", []string{"cutover", "fault"}},
	{"cutover/memdb", []string{"cutover", "cutover/query", "cutover/shape", "fault"}}, // for tests and examples
	{"cutover/model", []string{"cutover", "cutover/memdb", "fault"}},                  // tests alone
	{"cutover", []string{"cutover/query", "cutover/shape", "fault", "internal/step"}},
	{"event", []string{"cutover", "cutover/query", "fault"}},
	{"config", []string{"cutover", "fault"}},
	{"web", []string{"cutover", "fault", "money"}},
	{"web/webtest", []string{"web", "cutover", "fault"}},

	// Meaning: no store, no driver, and no other domain.
	{"domain/*", []string{"cutover", "cutover/query", "event", "web", "fault", "money", "mail", "chain"}},

	{"domain", []string{"domain/*", "cutover"}}, // the list of them

	// Storage: the engine, a driver. A store knows a domain by its Definition alone.
	{"store/storetest", []string{"store/mongo", "store/postgres", "devstack", "domain/*", "cutover/...", "event", "fault", "money"}},
	// PostgreSQL's side is fenced by the epoch that the control plane keeps in
	// the same database, and migrates its tables along.
	{"store/postgres", []string{"cutover/control", "cutover", "cutover/query", "cutover/shape", "fault", "internal/step", "money"}},
	{"store/mongo", []string{"cutover", "cutover/query", "cutover/shape", "fault", "internal/step", "money"}},

	{"console", []string{"cutover", "cutover/...", "web", "fault"}},

	// devstack knows nothing of the product, so that what it checks it checks
	// independently.
	{"devstack/...", []string{"devstack/...", "internal/step"}},
	{"e2e/...", []string{"e2e/...", "devstack/...", "internal/step"}},
	// The peer is what the product is measured against: nothing of it is ours.
	{"bench/peer", nil},
	{"bench", []string{"devstack/...", "cutover/...", "store/...", "domain/*", "event", "fault", "money"}},
	{"cmd/demo/...", []string{"cmd/demo/...", "devstack/..."}},

	// The production binary wires everything that is for production.
	{"cmd/amanat/...", []string{"cmd/amanat/...", "store/mongo", "store/postgres", "domain", "domain/*", "cutover/...",
		"event", "web", "console", "config", "chain", "mail", "fault", "money"}},

	{"internal/arrows", nil},
}

// drivers are the modules that only some packages may import.
var drivers = []struct {
	module string
	users  []string
}{
	{"go.mongodb.org/mongo-driver", []string{"store/mongo", "devstack/...", "bench"}},
	{"github.com/jackc/pgx", []string{"store/postgres", "cutover/control", "devstack/...", "bench/..."}},
	{"database/sql", []string{"store/postgres", "money"}}, // money: only to be a driver.Valuer
	{"github.com/FerretDB", []string{"devstack"}},
	{"github.com/Shopify/toxiproxy", []string{"devstack/link"}},
	{"github.com/anishathalye/porcupine", []string{"devstack/history"}},
}

// notLinked lists, for a program, what must not be in it even indirectly.
var notLinked = map[string][]string{
	"cmd/amanat": {Module + "/devstack", Module + "/store/storetest", Module + "/cutover/memdb", Module + "/web/webtest", "github.com/FerretDB", "github.com/Shopify/toxiproxy", "github.com/anishathalye/porcupine", "testing"},
}
