package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var errNotOurs = errors.New("devstack: the server was not started here, so it is not ours to stop and start")

// Postgres is a PostgreSQL server on the loopback interface. It asks for no
// password: whoever has an account on this machine can connect.
type Postgres struct {
	url url.URL // of the maintenance database

	// The rest is unset for a server that the environment named.
	bin     *binaries
	user    *runUser
	o       Options
	root    string // everything of this server is in here
	port    int
	dog     *watchdog
	mu      sync.Mutex // held while the server starts or stops
	process *os.Process
	exited  chan struct{} // closed once the process has ended
}

// StartPostgres starts a new server and waits until it answers. It ends with
// Stop, or with this process at the latest. ctx bounds the start only.
func StartPostgres(ctx context.Context, o Options) (_ *Postgres, err error) {
	p := &Postgres{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("devstack: start PostgreSQL: %w", err), p.Stop())
		}
	}()
	if p.user, err = serverUser(); err != nil {
		return nil, err
	}
	if p.bin, err = findBinaries(ctx, o); err != nil {
		return nil, err
	}
	if err := p.prepareDir(ctx); err != nil {
		return nil, err
	}
	return p, p.launch(ctx)
}

func (p *Postgres) data() string    { return filepath.Join(p.root, "data") }
func (p *Postgres) logFile() string { return filepath.Join(p.root, "postgres.log") }
func (p *Postgres) pidFile() string { return filepath.Join(p.data(), "postmaster.pid") }

// prepareDir makes the directory, sets the watchdog beside it, and fills it.
func (p *Postgres) prepareDir(ctx context.Context) error {
	if err := p.makeRoot(); err != nil {
		return err
	}
	signal, remove := "INT", ""
	if p.o.Dir == "" {
		signal, remove = "QUIT", p.root
	}
	var err error
	if p.dog, err = watch(p.pidFile(), signal, remove); err != nil {
		return err
	}
	return p.initialise(ctx)
}

// makeRoot makes the directory, in which the server's account must be able to
// write and which it must be able to reach.
func (p *Postgres) makeRoot() error {
	var err error
	if p.o.Dir == "" {
		p.root, err = os.MkdirTemp("", "amanat-postgres-")
	} else if p.root, err = filepath.Abs(p.o.Dir); err == nil {
		err = os.MkdirAll(p.root, 0o755)
	}
	if err != nil {
		return err
	}
	return p.user.own(p.root)
}

// initialise makes the cluster, unless a kept directory holds one.
func (p *Postgres) initialise(ctx context.Context) error {
	switch made, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION")); {
	case err == nil && strings.TrimSpace(string(made)) != p.bin.major:
		return fmt.Errorf("%s was made by PostgreSQL %s, and this is %s: use another directory, or remove it",
			p.data(), strings.TrimSpace(string(made)), p.bin.major)
	case err == nil:
		return nil
	}
	args := []string{"--pgdata", p.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C"}
	if p.o.ICULocale != "" {
		args = append(args, "--locale-provider", "icu", "--icu-locale", p.o.ICULocale)
	}
	if !p.o.Durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, p.bin.path("initdb"), args...)
	p.dress(cmd)
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("%w (must %s be reachable for another account?)", err, filepath.Dir(p.root))
	}
	return nil
}

// dress gives a command the account, directory and environment of the server.
func (p *Postgres) dress(cmd *exec.Cmd) {
	cmd.SysProcAttr = p.user.attr()
	cmd.Env = p.bin.env()
	cmd.Dir = p.root
}

// launch starts the server and waits until it answers. A port is free only
// until somebody else takes it, so a new server tries a few. One that starts
// again keeps its port, because its clients know it; what it may have to wait
// for is the end of its former life's last backends.
func (p *Postgres) launch(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() {
		return errors.New("it is running")
	}
	first := p.port == 0
	var err error
	for range 10 {
		if first {
			if p.port, err = freePort(); err != nil {
				return err
			}
			p.url = url.URL{Scheme: "postgres", User: url.User("postgres"),
				Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/postgres", RawQuery: "sslmode=disable"}
		}
		if err = p.try(ctx); err == nil || !passing(err) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

// passing tells whether a server that did not start may start a moment later.
func passing(err error) bool {
	for _, cause := range []string{"could not bind", "shared memory block", "lock file \"postmaster.pid\""} {
		if strings.Contains(err.Error(), cause) {
			return true
		}
	}
	return false
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// try starts the server once.
func (p *Postgres) try(ctx context.Context) error {
	log, err := os.Create(p.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.bin.path("postgres"), p.arguments()...)
	p.dress(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.process, p.exited = cmd.Process, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended stands in its log
	}()
	return p.awaitAnswer(ctx)
}

// arguments returns the command line: our settings, then the caller's, of which
// the last one counts.
func (p *Postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":          "127.0.0.1",
		"port":                      strconv.Itoa(p.port),
		"unix_socket_directories":   p.socketDir(),
		"max_connections":           "300",
		"shared_buffers":            "128MB",
		"timezone":                  "UTC",
		"log_timezone":              "UTC",
		"max_locks_per_transaction": "512", // one transaction may drop a schema with hundreds of tables
		"log_checkpoints":           "off",
		"autovacuum_naptime":        "10s", // a test's tables are young: the planner wants to know them soon
	}
	if !p.o.Durable {
		// Commits stay synchronous, which costs next to nothing without fsync: a
		// commit has left the server's memory when Kill comes.
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, p.o.Settings)
	args := []string{"-D", p.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// socketDir returns where the Unix socket goes: beside the data, unless that
// path is longer than a socket's may be.
func (p *Postgres) socketDir() string {
	if len(p.root)+len("/.s.PGSQL.65535.lock") > 100 {
		return ""
	}
	return p.root
}

// awaitAnswer waits until the server answers, has ended, or ctx is done.
func (p *Postgres) awaitAnswer(ctx context.Context) error {
	for {
		err := p.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			log, _ := os.ReadFile(p.logFile())
			return fmt.Errorf("it ended at once; its log says:\n%s", tail(string(log)))
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Postgres) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// alive tells whether the server that we started is running.
func (p *Postgres) alive() bool {
	if p.process == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// URL returns the connection string of a database. An empty name stands for the
// maintenance database, which always exists.
func (p *Postgres) URL(db string) string {
	u := p.url
	if db != "" {
		u.Path = "/" + db
	}
	return u.String()
}

// CreateDatabase makes a database, as a copy of template unless that is empty.
// A template that somebody is connected to is tried again until ctx ends, or
// for half a minute.
func (p *Postgres) CreateDatabase(ctx context.Context, name, template string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		statement += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	for {
		err := p.exec(ctx, statement)
		if !busy(err) || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// DropDatabase removes a database, whoever is connected to it. One that does
// not exist is no error.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	return p.exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// busy tells whether an error says that a template is in use (object_in_use).
func busy(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "55006"
}

// exec runs a statement in the maintenance database.
func (p *Postgres) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("devstack: %s: %w", statement, err)
	}
	return nil
}

// Stop ends the server, and removes its data unless Options.Dir keeps it. A
// server that the environment named runs on.
func (p *Postgres) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := interrupt
	if p.o.Dir == "" {
		end = quit // nobody will read the data again
	}
	err := p.end(end)
	if p.dog != nil {
		err = errors.Join(err, p.dog.dismiss())
		p.dog = nil
	}
	return err
}

// Kill ends the server as a power cut would, children and all. The data stays,
// for Restart.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return errNotOurs
	}
	return p.end(killTree)
}

// Freeze halts the server and all its children: connections stay, new ones are
// still accepted by the kernel, and nobody answers until Thaw. Kill, Restart and
// Stop work all the same.
func (p *Postgres) Freeze() error { return p.signal(freezeTree) }

// Thaw lets a frozen server go on.
func (p *Postgres) Thaw() error { return p.signal(thawTree) }

func (p *Postgres) signal(send func(*os.Process) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return errNotOurs
	}
	return send(p.process)
}

// Restart starts the server again, at the same URL, after Kill or while it is
// running. ctx bounds the start only.
func (p *Postgres) Restart(ctx context.Context) error {
	if p.process == nil {
		return errNotOurs
	}
	p.mu.Lock()
	err := p.end(interrupt)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if err := p.launch(ctx); err != nil {
		return fmt.Errorf("devstack: restart PostgreSQL: %w", err)
	}
	return nil
}

// end ends the process in the given way and waits for it, with force when it
// takes too long.
func (p *Postgres) end(how func(*os.Process) error) error {
	if !p.alive() {
		return nil
	}
	_ = thawTree(p.process) // it may be frozen, or have just ended
	if err := how(p.process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("devstack: stop PostgreSQL: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		_ = killTree(p.process) // it can only fail when the process has just ended
		<-p.exited
	}
	return nil
}
