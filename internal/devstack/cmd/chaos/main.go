// Command chaos plays rounds in which things go wrong while domains move, and
// says whether anything was lost. See package chaos.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context) (ok bool, err error) {
	var o chaos.Options
	flag.StringVar(&o.Binary, "amanat", "bin/amanat-chaos", "the binary, built with the tag chaos")
	flag.IntVar(&o.Rounds, "rounds", 27, "how many rounds")
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "what the rounds are drawn from")
	flag.IntVar(&o.Members, "members", 0, "in the data set; 0 for a small one")
	flag.Parse()
	if o.Rounds <= 0 || flag.NArg() > 0 {
		return false, fmt.Errorf("want -rounds of at least 1, and no arguments")
	}
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return false, err
	}
	o.Say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if o.Dir, err = os.MkdirTemp("", "amanat-chaos-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(o.Dir)
	result, err := chaos.Run(ctx, o)
	for _, f := range result.Failures {
		fmt.Println("✗", f)
	}
	for _, s := range result.NeverHit() {
		fmt.Println("never hit:", s)
	}
	fmt.Println(result.Summary())
	return result.OK(), err
}
