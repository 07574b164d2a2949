// Package chaos moves domains between databases while things go wrong: processes
// of the real binary are killed, frozen and vanish at every named step, links
// are cut, slowed and silenced, database servers are killed. After each round it
// asks whether anything was lost.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// Options say what is to happen.
type Options struct {
	Binary  string // amanat, built with the tag chaos
	Dir     string // for logs and mail; must exist
	Rounds  int    // to draw
	Seed    uint64
	Members int     // in the data set; 40 when zero
	Plan    []Round // these rounds, in place of drawn ones
	// Say is told how it goes. May be nil.
	Say func(format string, args ...any)
}

// enough is how many rounds come by every step.
const enough = 108

// Result is what was found.
type Result struct {
	Seed     uint64
	Rounds   int // that were judged
	Wanted   int // rounds that were asked for
	Failures []string
	Hits     map[failpoint.Name]int

	Writes, Requests, Failed    int64 // by members: acknowledged, sent, without success
	Unexpected                  int64 // answers that no fault excuses
	Lost, Twice, Differ, Ledger int   // over all audits
	Strays                      int
}

func (r *Result) take(a *audit.Report) {
	r.Lost += a.Lost()
	r.Twice += a.Twice()
	r.Differ += a.Differences()
	r.Ledger += a.Unbalanced()
}

// NeverHit returns the steps at which nothing has died or stopped.
func (r *Result) NeverHit() []failpoint.Name {
	return slices.DeleteFunc(failpoint.All(), func(s failpoint.Name) bool { return r.Hits[s] > 0 })
}

// OK says that everything that was asked for was done, and nothing was wrong.
func (r *Result) OK() bool {
	return len(r.Failures) == 0 && r.Rounds > 0 && r.Rounds == r.Wanted && r.Writes > 0 &&
		r.Lost+r.Twice+r.Differ+r.Ledger == 0 && r.Unexpected == 0 && (r.Wanted < enough || len(r.NeverHit()) == 0)
}

// Summary is one line.
func (r *Result) Summary() string {
	verdict := "ok"
	if !r.OK() {
		verdict = "FAILED"
	}
	all := len(failpoint.All())
	return fmt.Sprintf("%s: seed %d, %d of %d rounds, %d failures; %d writes acknowledged of %d requests (%d without success, %d answered wrongly): %d lost, %d twice, %d different, %d off balance; %d stray writes on record; %d of %d steps hit",
		verdict, r.Seed, r.Rounds, r.Wanted, len(r.Failures), r.Writes, r.Requests, r.Failed, r.Unexpected, r.Lost, r.Twice, r.Differ, r.Ledger, r.Strays,
		all-len(r.NeverHit()), all)
}

// run is a run under way.
type run struct {
	o       Options
	random  *rand.Rand
	stack   *devstack.Stack
	network *network
	result  *Result
}

// Run plays the rounds, and stops at the first that fails: what comes after
// would say little. An error means that it could not be played.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Members == 0 {
		o.Members = 40
	}
	if len(o.Plan) > 0 {
		o.Rounds = len(o.Plan)
	}
	r := &run{o: o, random: rand.New(rand.NewPCG(o.Seed, 1)), result: &Result{Seed: o.Seed, Wanted: o.Rounds, Hits: map[failpoint.Name]int{}}}
	err := r.start(ctx)
	if err == nil {
		err = r.play(ctx)
	}
	return r.result, errors.Join(err, r.stop())
}

func (r *run) start(ctx context.Context) (err error) {
	if r.stack, err = startStack(ctx, r.say); err != nil {
		return err
	}
	processes := []int{deployment.Commands}
	for i := range servers {
		processes = append(processes, i)
	}
	r.network, err = newNetwork(r.stack.Mongo.URI(), r.stack.Postgres.URL(""), processes...)
	return err
}

func (r *run) stop() error {
	if r.network != nil {
		r.network.close()
	}
	if r.stack == nil {
		return nil
	}
	return r.stack.Stop()
}

// play opens one world after the other, until all rounds are played.
func (r *run) play(ctx context.Context) error {
	for n := 1; r.result.Rounds < r.o.Rounds && len(r.result.Failures) == 0; n++ {
		w, err := r.open(ctx, n)
		if err != nil {
			return err
		}
		err = w.play(ctx)
		if err != nil || len(r.result.Failures) > 0 {
			r.say("%s", w.d.Diagnosis(40))
		}
		if c := w.traffic.Counts(); c.Unexpected > 0 {
			r.say("%d requests were refused that should not have been, and all failed ones, for example: %q", c.Unexpected, c.Samples)
		}
		if err := errors.Join(err, w.close(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) play(ctx context.Context) error {
	before := *w.result
	plan := w.o.Plan
	if len(plan) == 0 {
		plan = moves(w.random)
	}
	for _, round := range plan {
		if w.result.Rounds == w.o.Rounds || len(w.result.Failures) > 0 {
			break
		}
		if len(w.o.Plan) == 0 {
			round.Fault = draw(w.random, round.Action, w.result.Hits)
		}
		if err := w.playRound(ctx, round); err != nil {
			return fmt.Errorf("round %d, %s: %w", w.result.Rounds+1, round, err)
		}
		counts := w.traffic.Counts()
		w.result.Writes = before.Writes + w.traffic.Account().Writes()
		w.result.Requests, w.result.Failed = before.Requests+counts.Requests, before.Failed+counts.Failed
		w.result.Unexpected = before.Unexpected + counts.Unexpected
	}
	return nil
}

// playRound plays one round and judges it.
func (w *world) playRound(ctx context.Context, round Round) error {
	began := time.Now()
	w.say("%4d  %s", w.result.Rounds+1, round)
	stop := w.act(ctx)
	moved := make(chan struct{})
	var moving error
	go func() {
		defer close(moved)
		moving = w.move(ctx, round)
	}()
	err := w.befall(ctx, round.Fault, moved)
	<-moved
	stop()
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	var wrong []string
	if moving != nil {
		wrong = append(wrong, moving.Error())
	}
	found, err := w.judge(ctx)
	if err != nil {
		return err
	}
	w.network.bury()
	w.result.Rounds++
	for _, f := range append(wrong, found...) {
		w.result.Failures = append(w.result.Failures, fmt.Sprintf("round %d, %s: %s", w.result.Rounds, round, f))
		w.say("      FAILED: %s", f)
	}
	w.say("      %.0f s", time.Since(began).Seconds())
	return nil
}

func (r *run) say(format string, args ...any) {
	if r.o.Say != nil {
		r.o.Say(format, args...)
	}
}

// out says what is written to it.
func (r *run) out() io.Writer { return sayer{r} }

type sayer struct{ r *run }

func (s sayer) Write(p []byte) (int, error) {
	s.r.say("%s", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
