package deployment

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/amanat-dev/amanat/cutover/failpoint"
)

// Orders is the path of a file where processes built with the tag chaos look
// for what shall befall them at a step; several may share one.
type Orders string

// Own is the setting that has a process look there: see Options.Own.
func (o Orders) Own() string { return failpoint.File + "=" + string(o) }

// Give has the first process that passes the step be killed there (KILL), or
// halted (STOP).
func (o Orders) Give(s failpoint.Name, signal string) error {
	draft := string(o) + ".draft" // what is read is never half of it
	if err := os.WriteFile(draft, []byte(string(s)+" "+signal+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(draft, string(o))
}

// Done returns the id of the process that has carried the order out, once; 0 while
// none has.
func (o Orders) Done() (pid int, err error) {
	found, err := filepath.Glob(string(o) + failpoint.Hit + "*")
	if err != nil || len(found) == 0 {
		return 0, err
	}
	if pid, err = strconv.Atoi(strings.TrimPrefix(found[0], string(o)+failpoint.Hit)); err != nil {
		return 0, err
	}
	return pid, os.Remove(found[0])
}

// Withdraw takes an order back. It may have been carried out just now: ask Done.
func (o Orders) Withdraw() { _ = os.Remove(string(o)) }
