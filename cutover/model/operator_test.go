package model

import (
	"context"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

var stepOptions = cutover.StepOptions{
	Execute: true, Who: "operator", Why: "the model",
	GateOptions: cutover.GateOptions{
		Budget: 30 * time.Second,
		Waive:  map[string]string{cutover.GateShadow: "not asked for", cutover.GateWayBack: "the first time"},
	},
}

// operate returns the script's commands, each a few times when it fails.
func (w *world) operate() {
	rnd := w.rndOf()
	for i := 0; i < len(w.sched.plan.script); i++ {
		what := w.sched.plan.script[i]
		done := false
		for try := 0; try < 4 && !done; try++ {
			p := w.commander(fmt.Sprintf("c%d%c", i, 'a'+try))
			err := w.give(p, what, time.Duration(1+rnd.IntN(90))*time.Second)
			p.tell("operator: %s: %v", what, err)
			done = err == nil
			if w.sched.isQuiet() {
				return
			}
			if !done {
				time.Sleep(time.Duration(rnd.Int64N(int64(6 * time.Second))))
			}
		}
		if !done {
			return
		}
	}
}

func (s *scheduler) isQuiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet
}

// commander is the process that gives a command: one for it alone, or a server.
func (w *world) commander(name string) *process {
	if w.sched.plan.remote {
		return w.start(name, -1)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.command = nil
	return w.servers[0]
}

func (w *world) give(p *process, what string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(as(p.ctx, "operator"), limit)
	defer cancel()
	if p.place < 0 {
		defer w.end(p)
		if err := p.engine.Open(ctx); err != nil {
			return err
		}
	}
	return w.carry(ctx, p.engine, what)
}

func (w *world) carry(ctx context.Context, e *cutover.Engine, what string) error {
	var err error
	switch what {
	case "start":
		_, err = e.Start(ctx, domainName, stepOptions)
	case "abandon":
		_, err = e.Abandon(ctx, domainName, stepOptions)
	case "finish":
		_, err = e.Finish(ctx, domainName, stepOptions)
	case "switch":
		var r cutover.Report
		r, err = e.Switch(ctx, domainName, stepOptions)
		err = withGate(err, r)
	case "rollback":
		var r cutover.Report
		r, err = e.Rollback(ctx, domainName, stepOptions)
		err = withGate(err, r)
	case "backfill":
		_, err = e.Backfill(ctx, domainName, cutover.BackfillOptions{Workers: 1})
	case "verify", "repair":
		var r cutover.VerifyResult
		r, err = e.Verify(ctx, domainName, cutover.VerifyOptions{Repair: what == "repair"})
		if err == nil && !r.OK {
			err = fmt.Errorf("differences: %+v", r.Diffs)
		}
	}
	return err
}

func withGate(err error, r cutover.Report) error {
	if err == nil {
		return nil
	}
	held := ""
	for _, l := range r.Gate {
		if !l.Passed() {
			held += l.Name + ": " + l.Evidence + "; "
		}
	}
	return fmt.Errorf("%w %s", err, held)
}

// end takes a command's process off the stage.
func (w *world) end(p *process) {
	w.sched.mu.Lock()
	defer w.sched.mu.Unlock()
	w.crash(p, 0)
}
