// Package deployment runs the production binary as a deployment has it: several
// server processes on one MongoDB-wire and one PostgreSQL database, their
// mailbox, and the command line beside them. The demo and the end-to-end test
// are built on it.
package deployment

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// Options say what is to run on what.
type Options struct {
	Binary   string // the production binary, amanat
	Dir      string // for mail and logs; must exist
	MongoURI string
	Database string // in MongoDB
	PGURL    string
	Ports    []int // one server each; 0 picks a free one
	// Own, when set, gives settings of one process, as NAME=value: of a server by
	// its place, of the command line by Commands. They count over the others.
	Own func(process int) []string
}

// Commands stands for the processes of the command line.
const Commands = -1

// Deployment is a running one. Stop it.
type Deployment struct {
	o       Options
	env     []string
	scanner *traffic.Scanner
	servers []*server

	mu       sync.Mutex   // guards what follows
	commands map[int]bool // pids of commands that run
}

// New prepares a deployment; nothing runs yet but the scanner's stand-in.
func New(o Options) (*Deployment, error) {
	key := rand.Text()
	scanner, err := traffic.StartScanner(key)
	if err != nil {
		return nil, err
	}
	d := &Deployment{o: o, scanner: scanner, commands: map[int]bool{}}
	d.env = append(inherited(),
		"HOST=127.0.0.1",
		"MONGODB_URI="+o.MongoURI, "DB_NAME="+o.Database, "PG_URL="+o.PGURL,
		"MAILBOX_DIR="+d.Mailbox(), "REPORT_KEY_FILE="+filepath.Join(o.Dir, "report.key"),
		"JWT_SECRET="+rand.Text()+rand.Text(), "CODE_SECRET="+rand.Text()+rand.Text(),
		"AMN_SCANNER_URL="+scanner.URL(), "SCANNER_API_KEY="+key,
		"LOG_LEVEL=info",
	)
	return d, nil
}

func (d *Deployment) own(process int) []string {
	if d.o.Own == nil {
		return nil
	}
	return d.o.Own(process)
}

// inherited is what servers get of our own environment: nothing that would
// configure them.
func inherited() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TERM", "TZ", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Mailbox is the folder where the servers leave their mail.
func (d *Deployment) Mailbox() string { return filepath.Join(d.o.Dir, "mailbox") }

// Scanner stands in for the payment scanner.
func (d *Deployment) Scanner() *traffic.Scanner { return d.scanner }

// Serve starts a server on each port and waits until all answer.
func (d *Deployment) Serve(ctx context.Context) error {
	for i, port := range d.o.Ports {
		s, err := d.newServer(i, port)
		if err == nil {
			d.servers = append(d.servers, s)
			err = s.start(d)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range d.servers {
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Addresses are the servers' base URLs.
func (d *Deployment) Addresses() []string {
	var out []string
	for _, s := range d.servers {
		out = append(out, s.url)
	}
	return out
}

// Check says whether a server has ended, and how.
func (d *Deployment) Check() error {
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.check())
	}
	return errors.Join(errs...)
}

// Stop ends the servers the way an operator would, and waits for them.
func (d *Deployment) Stop() error {
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.stop())
	}
	d.servers = nil
	return errors.Join(append(errs, d.scanner.Stop())...)
}

// Logs returns the end of each server's log.
func (d *Deployment) Logs(lines int) string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(d.o.Dir, "server*.log")) // fails only on a malformed pattern
	for _, f := range files {
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(f), tail(f, lines))
	}
	return b.String()
}

func tail(file string, lines int) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Run runs a command of the binary as an operator would, with its output in
// out. A status other than 0 is an *exec.ExitError.
func (d *Deployment) Run(ctx context.Context, out io.Writer, args ...string) error {
	cmd := d.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = out, out
	return d.run(cmd)
}

// run runs a command, and knows of it meanwhile.
func (d *Deployment) run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	d.note(cmd.Process.Pid, true)
	defer d.note(cmd.Process.Pid, false)
	guard, err := guardProcess(cmd.Process.Pid) // it may be halted when we die
	defer guard.dismiss()
	return errors.Join(err, cmd.Wait())
}

func (d *Deployment) note(pid int, runs bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if runs {
		d.commands[pid] = true
	} else {
		delete(d.commands, pid)
	}
}

// JSON runs a command with --json and decodes what it prints. Commands that
// print their table also with a status other than 0 have it decoded as well,
// and the *exec.ExitError is given.
func (d *Deployment) JSON(ctx context.Context, into any, args ...string) error {
	cmd := d.command(ctx, append(args, "--json")...)
	var raw, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &raw, &complaint
	err := d.run(cmd)
	if jsonErr := json.Unmarshal(raw.Bytes(), into); jsonErr != nil {
		return errors.Join(err, fmt.Errorf("amanat %s: %w: %s", strings.Join(args, " "), jsonErr, &complaint))
	}
	return err
}

func (d *Deployment) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.o.Binary, args...)
	cmd.Env, cmd.Dir = slices.Concat(d.env, d.own(Commands)), d.o.Dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}
