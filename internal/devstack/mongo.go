package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// Mongo is a server that speaks MongoDB's wire protocol: a real mongod, or
// FerretDB on a PostgreSQL server of its own. It asks for no password.
type Mongo struct {
	uri    string
	ferret bool
	server mongoServer // nil for a server that the environment named
}

// mongoServer is what runs behind a Mongo.
type mongoServer interface {
	// start starts the server, for the first time or again at the same address.
	start(ctx context.Context) error
	// kill ends it as a power cut would.
	kill() error
	// freeze has it answer nothing until thaw.
	freeze() error
	thaw() error
	// stop ends it for good.
	stop() error
	address() string
}

// StartMongo starts a new server and waits until it answers: the one that
// Options.Sim or MONGO asks for, or mongod if it is in PATH, else FerretDB, which
// is part of this program. It ends with Stop, or with this process at the latest.
// ctx bounds the start only.
func StartMongo(ctx context.Context, o Options) (*Mongo, error) {
	return startMongo(ctx, newMongoServer(o))
}

func startMongo(ctx context.Context, server mongoServer) (*Mongo, error) {
	m := &Mongo{server: server}
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("devstack: start MongoDB: %w", err), m.Stop())
	}
	return m, nil
}

func newMongoServer(o Options) mongoServer {
	kind := os.Getenv(EnvMongoKind)
	switch {
	case o.Sim != nil:
		return &sim{o: *o.Sim}
	case kind == "sim":
		return &sim{}
	case kind == "simset":
		return &sim{o: mongosim.Options{ReplicaSet: true}}
	}
	if bin, err := exec.LookPath("mongod"); err == nil && kind != "ferret" {
		return &mongod{bin: bin, o: o}
	}
	return &ferret{o: o}
}

func (m *Mongo) start(ctx context.Context) error {
	if err := m.server.start(ctx); err != nil {
		return err
	}
	m.uri = "mongodb://" + m.server.address() + "/"
	if s, ok := m.server.(*sim); ok {
		m.uri = s.server.URI()
	}
	return m.greet(ctx)
}

// URI returns the connection string.
func (m *Mongo) URI() string { return m.uri }

// IsFerret tells whether FerretDB answers, with its limits: see README.md.
func (m *Mongo) IsFerret() bool { return m.ferret }

// Stop ends the server, and removes its data unless Options.Dir keeps it. A
// server that the environment named runs on.
func (m *Mongo) Stop() error {
	if m.server == nil {
		return nil
	}
	return m.server.stop()
}

// Kill ends the server as a power cut would. The data stays, for Restart.
func (m *Mongo) Kill() error {
	if m.server == nil {
		return errNotOurs
	}
	return m.server.kill()
}

// Freeze has the server keep its connections, and accept new ones, and answer
// nothing until Thaw. Kill, Restart and Stop work all the same.
func (m *Mongo) Freeze() error {
	if m.server == nil {
		return errNotOurs
	}
	return m.server.freeze()
}

// Thaw lets a frozen server go on.
func (m *Mongo) Thaw() error {
	if m.server == nil {
		return errNotOurs
	}
	return m.server.thaw()
}

// Restart starts the server again, at the same URI, after Kill or while it is
// running. ctx bounds the start only.
func (m *Mongo) Restart(ctx context.Context) error {
	if m.server == nil {
		return errNotOurs
	}
	if err := errors.Join(m.server.kill(), m.start(ctx)); err != nil {
		return fmt.Errorf("devstack: restart MongoDB: %w", err)
	}
	return nil
}

// greet waits until the server answers, and learns what it is.
func (m *Mongo) greet(ctx context.Context) error {
	return m.with(ctx, func(c *mongo.Client) error {
		var info bson.M
		err := c.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
		_, m.ferret = info["ferretdbVersion"]
		return err
	})
}

// with lends a client.
func (m *Mongo) with(ctx context.Context, use func(*mongo.Client) error) error {
	c, err := mongo.Connect(options.Client().ApplyURI(m.uri).SetServerSelectionTimeout(20 * time.Second))
	if err != nil {
		return err
	}
	defer c.Disconnect(context.WithoutCancel(ctx))
	return use(c)
}

// EnsureLookupIndexes makes equality lookups by the named fields fast on
// FerretDB, even where the application has no index of its own: a field may be
// dotted. Indexes that the application creates need no such help: see
// lookup.sql. On a real MongoDB it does nothing.
func (m *Mongo) EnsureLookupIndexes(ctx context.Context, database string, fields map[string][]string) error {
	if !m.ferret {
		return nil
	}
	return m.with(ctx, func(c *mongo.Client) error {
		for collection, names := range fields {
			if err := ensureIndexes(ctx, c.Database(database).Collection(collection), names); err != nil {
				return fmt.Errorf("devstack: index %s.%s: %w", database, collection, err)
			}
		}
		return nil
	})
}

func ensureIndexes(ctx context.Context, c *mongo.Collection, fields []string) error {
	var models []mongo.IndexModel
	for _, field := range fields {
		if field != "_id" { // that one is there from the start
			models = append(models, mongo.IndexModel{Keys: bson.D{{Key: field, Value: 1}}})
		}
	}
	if len(models) == 0 {
		return nil
	}
	_, err := c.Indexes().CreateMany(ctx, models)
	return err
}

// DropDatabase removes a database. One that does not exist is no error.
func (m *Mongo) DropDatabase(ctx context.Context, name string) error {
	return m.with(ctx, func(c *mongo.Client) error {
		if err := c.Database(name).Drop(ctx); err != nil {
			return fmt.Errorf("devstack: drop the MongoDB database %s: %w", name, err)
		}
		return nil
	})
}

// mongod is a real MongoDB server.
type mongod struct {
	bin    string
	o      Options
	root   string
	addr   string
	dog    *watchdog
	cmd    *exec.Cmd
	exited chan struct{}
}

func (d *mongod) address() string { return d.addr }

func (d *mongod) start(ctx context.Context) error {
	if d.root == "" {
		if err := d.makeRoot(); err != nil {
			return err
		}
	}
	return d.launch(ctx)
}

func (d *mongod) makeRoot() error {
	var err error
	remove := ""
	if d.o.Dir == "" {
		d.root, err = os.MkdirTemp("", "amanat-mongo-")
		remove = d.root
	} else if d.root, err = filepath.Abs(d.o.Dir); err == nil {
		err = os.MkdirAll(d.root, 0o755)
	}
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	d.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	d.dog, err = watch(d.pidFile(), "INT", remove)
	return err
}

func (d *mongod) pidFile() string { return filepath.Join(d.root, "mongod.pid") }

func (d *mongod) launch(context.Context) error {
	_, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		return err
	}
	d.cmd = exec.Command(d.bin, slices.Concat(
		[]string{"--dbpath", d.root, "--port", port, "--bind_ip", "127.0.0.1"},
		[]string{"--logpath", filepath.Join(d.root, "mongod.log"), "--pidfilepath", d.pidFile()},
	)...)
	d.cmd.SysProcAttr = (*runUser)(nil).attr()
	if err := d.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	d.exited = exited
	go func(cmd *exec.Cmd) {
		defer close(exited)
		_ = cmd.Wait() // how it ended stands in its log
	}(d.cmd)
	return nil
}

func (d *mongod) freeze() error { return freezeTree(d.cmd.Process) }
func (d *mongod) thaw() error   { return thawTree(d.cmd.Process) }

func (d *mongod) kill() error {
	if d.cmd == nil {
		return nil
	}
	err := d.cmd.Process.Kill()
	<-d.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (d *mongod) stop() error {
	if d.cmd != nil {
		_ = d.thaw()
		_ = interrupt(d.cmd.Process) // it may have ended
		select {
		case <-d.exited:
		case <-time.After(20 * time.Second):
		}
	}
	err := d.kill()
	if d.dog != nil {
		err = errors.Join(err, d.dog.dismiss())
		d.dog = nil
	}
	return err
}
