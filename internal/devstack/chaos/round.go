package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// Kind says what goes wrong in a round.
type Kind string

// What can go wrong. At a step it befalls the process that comes there first,
// server or command; else one that is drawn, at a moment that is drawn.
const (
	KillAt   Kind = "kill at"   // kill -9 at a step
	FreezeAt Kind = "freeze at" // SIGSTOP at a step, and SIGCONT after a while
	VanishAt Kind = "vanish at" // at a step gone without a word: its connections stay half-open

	Kill         Kind = "kill"          // kill -9 of a server
	Freeze       Kind = "freeze"        // SIGSTOP and SIGCONT of a server
	Cut          Kind = "cut"           // connections to a database closed and refused
	Slow         Kind = "slow"          // connections to a database delayed
	Silence      Kind = "silence"       // connections to a database half-open
	KillMongo    Kind = "kill mongo"    // the server killed and started again
	KillPostgres Kind = "kill postgres" // likewise
)

var (
	atSteps   = []Kind{KillAt, KillAt, FreezeAt, VanishAt}
	elsewhere = []Kind{Kill, Freeze, Cut, Slow, Silence, KillMongo, KillPostgres}
)

// Fault is one thing that goes wrong.
type Fault struct {
	Kind  Kind
	Step  failpoint.Name // of those at a step
	After time.Duration  // of the others: since the move began
	For   time.Duration  // until what was stopped goes on, or what has ended is started again
	Who   int            // whose, where it is somebody's: a server by its place, or Commands; Everybody's
	Mongo bool           // connections to MongoDB, else to PostgreSQL
}

// Everybody is a fault's Who when it befalls all processes.
const Everybody = -2

func (f Fault) String() string {
	text := string(f.Kind)
	switch f.Kind {
	case KillAt, FreezeAt, VanishAt:
		return fmt.Sprintf("%s %s, for %s", text, f.Step, f.For)
	case Kill, Freeze:
		text += " " + who(f.Who)
	case Cut, Slow, Silence:
		database := "PostgreSQL"
		if f.Mongo {
			database = "MongoDB"
		}
		text += " " + who(f.Who) + " from " + database
	}
	return fmt.Sprintf("%s after %s, for %s", text, f.After, f.For)
}

func who(process int) string {
	switch process {
	case Everybody:
		return "everybody"
	case deployment.Commands:
		return "the commands"
	}
	return fmt.Sprintf("server %d", process+1)
}

// Round is one fault during one move of one domain.
type Round struct {
	Domain string
	Action string // start, switch, rollback, abandon, finish
	Fault  Fault
}

func (r Round) String() string { return fmt.Sprintf("%s %s, %s", r.Action, r.Domain, r.Fault) }

// way is what every domain goes through on one pair of databases.
var way = []string{"start", "switch", "rollback", "abandon", "start", "switch", "rollback", "switch", "finish"}

// leadsTo are the phases in which the actions end.
var leadsTo = map[string]string{"start": "dual", "switch": "mirror", "rollback": "dual", "abandon": "source", "finish": "target"}

// moves draws the order in which the domains go their way.
func moves(random *rand.Rand) []Round {
	var order []string
	for _, domain := range deployment.Domains {
		for range way {
			order = append(order, domain)
		}
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	at := map[string]int{}
	var out []Round
	for _, domain := range order {
		out = append(out, Round{Domain: domain, Action: way[at[domain]]})
		at[domain]++
	}
	return out
}

// draw draws what goes wrong during a move: two times in three something at a
// step.
func draw(random *rand.Rand, action string, hits map[failpoint.Name]int) Fault {
	f := Fault{
		After: time.Duration(random.IntN(2500)) * time.Millisecond,
		For:   []time.Duration{300 * time.Millisecond, 2 * time.Second, 6 * time.Second, 10 * time.Second}[random.IntN(4)],
		Who:   []int{0, 1, Everybody, deployment.Commands}[random.IntN(4)],
		Mongo: random.IntN(2) == 0,
	}
	if random.IntN(3) > 0 {
		f.Kind = atSteps[random.IntN(len(atSteps))]
		f.Step = drawStep(random, action, hits)
		return f
	}
	f.Kind = elsewhere[random.IntN(len(elsewhere))]
	if f.Kind == Kill || f.Kind == Freeze {
		f.Who = random.IntN(servers)
	}
	return f
}

// drawStep draws a step of this move's own that was never hit, else one that was
// hit least of all that it may come by.
func drawStep(random *rand.Rand, action string, hits map[failpoint.Name]int) failpoint.Name {
	var own []failpoint.Name
	for _, s := range stepsOf(action) {
		if group := groupOf(s); hits[s] == 0 && (group == action || group == "backfill") {
			own = append(own, s)
		}
	}
	if len(own) > 0 {
		return own[random.IntN(len(own))]
	}
	return seldom(random, stepsOf(action), hits)
}

// groupOf returns what a step is of: a move, backfill, copy, commit …
func groupOf(s failpoint.Name) string {
	group, _, _ := strings.Cut(string(s), ".")
	return group
}

// seldom draws one of the steps that were hit least.
func seldom(random *rand.Rand, steps []failpoint.Name, hits map[failpoint.Name]int) failpoint.Name {
	least := slices.Min(collect(steps, func(s failpoint.Name) int { return hits[s] }))
	steps = slices.DeleteFunc(slices.Clone(steps), func(s failpoint.Name) bool { return hits[s] > least })
	return steps[random.IntN(len(steps))]
}

func collect[T, U any](in []T, f func(T) U) []U {
	out := make([]U, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// stepsOf returns the steps that may be passed during a move: its own, and those
// of the copying and writing that goes on beside it as far as it is sure to. A
// backfill is part of a start.
func stepsOf(action string) []failpoint.Name {
	return slices.DeleteFunc(failpoint.All(), func(s failpoint.Name) bool {
		switch group := groupOf(s); group {
		case "switch", "rollback", "start", "abandon", "finish":
			return group != action
		case "backfill":
			return action != "start"
		case "transaction": // needs a primary in PostgreSQL
			return action != "switch" && action != "rollback" && action != "finish"
		case "commit": // needs one in MongoDB; finishes come last
			return action == "finish"
		case "copy":
			return action == "abandon"
		}
		return false
	})
}
