// Command demo shows Amanat's main job from an empty machine: two servers of
// the production binary on databases that it starts for itself, a data set that
// an earlier application could have left, members' traffic over HTTP all the
// while, and three domains that move from MongoDB to PostgreSQL, back, and over
// again. It ends with what came of it, and stays up until Ctrl-C.
//
// The environment sets DEMO_SIZE (members in the data set, default 300), PORT
// (of the first server, default 5001; the second has the next one), and ONCE=1
// (end by itself, with status 0 only when nothing was lost, failed or differs).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

func main() {
	binary := flag.String("amanat", filepath.Join("bin", "amanat"), "the production binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, *binary)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// options are what the environment says.
type options struct {
	binary string
	size   int
	port   int
	once   bool
}

func readOptions(binary string) (options, error) {
	o := options{once: os.Getenv("ONCE") != "" && os.Getenv("ONCE") != "0"}
	var errs []error
	number := func(name string, standard, least, most int) int {
		text := os.Getenv(name)
		if text == "" {
			return standard
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			errs = append(errs, fmt.Errorf("%s=%s: want a number from %d to %d", name, text, least, most))
		}
		return n
	}
	o.size = number("DEMO_SIZE", 300, 100, 1_000_000)
	o.port = number("PORT", 5001, 1, 65534)
	var err error
	if o.binary, err = filepath.Abs(binary); err == nil {
		_, err = os.Stat(o.binary)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("the production binary: %w; build it with: make build", err))
	}
	return o, errors.Join(errs...)
}
