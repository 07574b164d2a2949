package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) selfTest(ctx context.Context, domains []string, asJSON bool) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		var results []cutover.SelfTestResult
		for _, domain := range domains {
			r, err := a.engine.SelfTest(ctx, domain, cutover.SelfTestOptions{Who: operator(), Progress: c.selfTestProgress(domain)})
			if err != nil {
				return errors.Join(err, c.printSelfTests(results, asJSON))
			}
			results = append(results, r)
		}
		if err := c.printSelfTests(results, asJSON); err != nil {
			return err
		}
		return heldByBlindness(results)
	})
}

// selfTestProgress tells of a long self-test now and then.
func (c *cli) selfTestProgress(domain string) func(kind string, planted int64) {
	last := time.Now()
	return func(kind string, planted int64) {
		if time.Since(last) < lineEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(c.err, "%s: testing %s, %d corruptions planted\n", domain, kind, planted)
	}
}

func heldByBlindness(results []cutover.SelfTestResult) error {
	var bad []string
	for _, r := range results {
		if !r.OK {
			bad = append(bad, r.Domain)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return heldError{strings.Join(bad, ", ") + ": a verify does not find what was planted, or finds what was not: do not rely on it"}
}

func (c *cli) printSelfTests(results []cutover.SelfTestResult, asJSON bool) error {
	if asJSON && len(results) > 0 {
		return c.printJSON(results)
	}
	for _, r := range results {
		if err := c.printSelfTest(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printSelfTest(r cutover.SelfTestResult) error {
	var rows [][]string
	for _, k := range r.Classes {
		rows = append(rows, []string{k.Class, number(k.Planted), number(k.Found), number(k.Refused), foundText(k),
			strings.Join(k.Kinds, ", "), strings.Join(k.Without, ", ")})
	}
	if err := writeTable(c.out, []string{"CLASS", "PLANTED", "FOUND", "REFUSED", "FOUND ALL", "IN", "NO PLACE IN"}, rows); err != nil {
		return err
	}
	for _, k := range r.Classes {
		for _, m := range k.Missed {
			fmt.Fprintf(c.out, "missed: %s, %s\n", k.Class, m)
		}
	}
	if err := c.printDiffs(r.FalseAlarms); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "\n%s: %d records sampled, %d false alarms, %.1f s\n", r.Domain, r.Sampled, len(r.FalseAlarms), r.Seconds)
	return err
}

// foundText says of a class that nothing was planted of that it is not shown.
func foundText(k cutover.ClassResult) string {
	if k.Planted == 0 {
		return "not shown: no record has a place for it"
	}
	return yesNo(k.Found == k.Planted)
}
