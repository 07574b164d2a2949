package cutover

import "github.com/amanat-dev/amanat/cutover/fault"

// Remedy names what mends a refusal, in this package's terms. The program that
// an operator uses words it, as a command or a button of its own.
type Remedy string

// The remedies.
const (
	RemedyServe     Remedy = "serve"     // run a process that serves the domain
	RemedyDatabases Remedy = "databases" // give this process both databases
	RemedyStart     Remedy = "start"     // Engine.Start
	RemedyBackfill  Remedy = "backfill"  // Engine.Backfill
	RemedyVerify    Remedy = "verify"    // Engine.Verify
	RemedyDrill     Remedy = "drill"     // Engine.Drill
	RemedyResume    Remedy = "resume"    // take Settings.CopyPaused back
	RemedyGaps      Remedy = "gaps"      // look at Engine.Gaps; mend, retry or waive them
	RemedyStrays    Remedy = "strays"    // look at Engine.Strays
)

// Refusal is an error that has a remedy.
type Refusal struct {
	Domain string
	Remedy Remedy
	cause  *fault.Error
}

func (r *Refusal) Error() string { return r.cause.Error() }

// Unwrap returns the fault.
func (r *Refusal) Unwrap() error { return r.cause }

// refuse makes a Refusal with a fault.Conflict in it.
func (c *base) refuse(r Remedy, format string, args ...any) error {
	return &Refusal{Domain: c.name, Remedy: r, cause: fault.New(fault.Conflict, format, args...)}
}
