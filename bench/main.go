// Command bench measures the product against hand-written peers and against its
// own databases, on servers that it starts itself:
//
//	make bench
//	make bench FIGURES=http_get_share,ledger_share
//
// It prints one line per figure on standard output,
//
//	figure <name> <value> <unit> [<least>-<most>] bar<=|>=<bar>:met|missed
//
// where the value is the median of at least three repetitions, and tells on
// standard error what it does. Whatever is compared is measured in one run, in
// short slices that alternate, so that what else the machine does hits both
// alike. A bar that is missed is reported and fails nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// figures are all that is measured, in the order in which it is.
var figures = []figure{
	{"http_get_share", "a request by id: requests/s on PostgreSQL ÷ the peer's", "ratio", atLeast(0.85), getEndpoint.share},
	{"http_list_share", "own requests, 20: likewise", "ratio", atLeast(0.85), listEndpoint.share},
	{"http_post_request_share", "a new request: likewise", "ratio", atLeast(0.80), postRequestEndpoint.share},
	{"http_post_offer_share", "a new offer: likewise", "ratio", atLeast(0.80), postOfferEndpoint.share},
	{"pg_update_ratio", "p50 of an Update through the engine ÷ the same statements by hand", "ratio", atMost(1.15), updateRatio},
	{"ledger_share", "ledger entries/s through the engine, 20 workers ÷ appended by hand", "ratio", atLeast(0.65), ledgerShare},
	{"backfill_share", "rows/s of a backfill of payments ÷ raw cursor reads/s of the same collection", "ratio", atLeast(0.90), backfillShare},
	{"backfill_copy_share", "backfill of payments from memory ÷ plain COPY of the same rows", "ratio", atLeast(0.50), backfillCopyShare},
	{"backfill_rss_growth", "peak memory of a backfill of 1,000,000 records ÷ of 100,000", "ratio", atMost(1.2), backfillGrowth},
	{"verify_share", "records/s compared ÷ raw reads/s of the slower side", "ratio", atLeast(0.80), verifyShare},
	{"dual_request_ratio", "p50 of a writing request in phase dual ÷ before the move", "ratio", atMost(1.20), dualRatio},
	{"switch_pause_ms", "p99 of a write that is under way during a switch or rollback under load", "ms", atMost(100), switchPause},
	{"switch_failed_requests", "writes that failed meanwhile", "requests", atMost(0), switchFailed},
	{"copy_lag_ms", "p99 age of a note under load", "ms", atMost(200), copyLag},
	{"source_read_growth", "p50 of a list on MongoDB with 100 multi-record commits/s ÷ with none", "ratio", atMost(1.5), sourceReadGrowth},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := program(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func program(ctx context.Context) error {
	if isChild() {
		return runChild(ctx, os.Stdout)
	}
	return command(ctx, os.Args[1:])
}

func command(ctx context.Context, args []string) error {
	var o options
	var names string
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&o.amanat, "amanat", "bin/amanat", "the product")
	flags.StringVar(&o.peer, "peer", "bin/peer", "what it is measured against")
	flags.StringVar(&names, "figures", "", "which to measure, separated by commas; all when empty")
	flags.BoolVar(&o.small, "small", false, "little data, one repetition: shows that it works, and nothing else")
	_ = flags.Parse(args) // it exits on an error
	if names != "" {
		o.figures = strings.Split(names, ",")
	}
	return run(ctx, o, os.Stdout, progress(os.Stderr))
}

// progress tells what goes on, and since when.
func progress(w io.Writer) func(string, ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(w, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// run measures the figures that were asked for, one after the other.
func run(ctx context.Context, o options, out io.Writer, say func(string, ...any)) (err error) {
	chosen, err := choose(o.figures)
	if err != nil {
		return err
	}
	e, err := newEnv(o, say)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	var failed []error
	for _, f := range chosen {
		say("%s: %s", f.name, f.what)
		s, err := f.within(ctx, e)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", f.name, err))
			say("%s: %v", f.name, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		fmt.Fprintln(out, f.line(s))
	}
	return errors.Join(failed...)
}

// figureTime bounds one figure: a database that has fallen silent shall not keep
// the others from being measured.
const figureTime = 20 * time.Minute

func (f figure) within(ctx context.Context, e *env) (samples, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, figureTime, fmt.Errorf("not measured within %s", figureTime))
	defer cancel()
	s, err := f.measure(ctx, e)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return s, err
}

// choose finds figures by name; all of them without names.
func choose(names []string) ([]figure, error) {
	if len(names) == 0 {
		return figures, nil
	}
	var out []figure
	for _, name := range names {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no figure %q; there are %s", name, strings.Join(namesOf(figures), ", "))
		}
		out = append(out, figures[i])
	}
	return out, nil
}

func namesOf(all []figure) []string {
	var out []string
	for _, f := range all {
		out = append(out, f.name)
	}
	return out
}
