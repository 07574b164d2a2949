package chaos

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// good is a result with nothing wrong.
func good(rounds int) *Result {
	r := &Result{Seed: 7, Rounds: rounds, Wanted: rounds, Writes: 1000, Requests: 3000, Hits: map[failpoint.Name]int{}}
	for _, s := range failpoint.All() {
		r.Hits[s] = 1
	}
	return r
}

func TestAResultIsOKOnlyWhenAllWasDoneAndNothingIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Result)
		ok    bool
	}{
		"nothing wrong":         {func(*Result) {}, true},
		"a failure":             {func(r *Result) { r.Failures = []string{"no primary"} }, false},
		"a round missing":       {func(r *Result) { r.Rounds-- }, false},
		"no round":              {func(r *Result) { r.Rounds, r.Wanted = 0, 0 }, false},
		"no write acknowledged": {func(r *Result) { r.Writes = 0 }, false},
		"a write lost":          {func(r *Result) { r.take(&audit.Report{Mongo: audit.Side{Lost: []string{"x"}}}) }, false},
		"a write twice":         {func(r *Result) { r.take(&audit.Report{Postgres: audit.Side{Twice: []string{"x"}}}) }, false},
		"a difference":          {func(r *Result) { r.take(&audit.Report{Kinds: []audit.KindReport{{Different: 1}}}) }, false},
		"a ledger off balance": {func(r *Result) {
			r.take(&audit.Report{Mongo: audit.Side{Ledger: audit.Ledger{Unbalanced: []string{"x"}}}})
		}, false},
		"a step never hit":             {func(r *Result) { delete(r.Hits, failpoint.CopyRead) }, false},
		"a step never hit, few rounds": {func(r *Result) { delete(r.Hits, failpoint.CopyRead); r.Rounds, r.Wanted = 9, 9 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := good(enough)
			c.spoil(r)
			if r.OK() != c.ok {
				t.Errorf("want ok %v, got %s", c.ok, r.Summary())
			}
			if verdict := strings.HasPrefix(r.Summary(), "ok"); verdict != c.ok {
				t.Errorf("want the summary to say so, got %s", r.Summary())
			}
		})
	}
}

func TestEveryStepCanBeDrawn(t *testing.T) {
	for _, s := range failpoint.All() {
		if !slices.ContainsFunc(way, func(action string) bool { return slices.Contains(stepsOf(action), s) }) {
			t.Errorf("no move comes by %s", s)
		}
	}
}

func TestStepsThatWereHitLeastAreDrawnFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	hits := map[failpoint.Name]int{}
	for range stepsOf("switch") {
		hits[seldom(random, stepsOf("switch"), hits)]++
	}
	for _, s := range stepsOf("switch") {
		if hits[s] != 1 {
			t.Errorf("%s was drawn %d times", s, hits[s])
		}
	}
}

func TestAMovesOwnStepsAreDrawnFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	hits := map[failpoint.Name]int{}
	for range 2 {
		hits[drawStep(random, "finish", hits)]++
	}
	for _, s := range []failpoint.Name{failpoint.Of("finish", failpoint.Recorded), failpoint.Of("finish", failpoint.Acked)} {
		if hits[s] != 1 {
			t.Errorf("%s was drawn %d times of 2, want once", s, hits[s])
		}
	}
}

func TestEachDomainGoesItsWayWhateverTheOrder(t *testing.T) {
	all := moves(rand.New(rand.NewPCG(7, 7)))
	for _, domain := range deployment.Domains {
		var actions []string
		for _, r := range all {
			if r.Domain == domain {
				actions = append(actions, r.Action)
			}
		}
		if !slices.Equal(actions, way) {
			t.Errorf("%s goes %v, want %v", domain, actions, way)
		}
	}
}
