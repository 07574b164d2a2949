package devstack

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"maps"
	"net/url"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/jackc/pgx/v5"
)

// lookupSQL makes FerretDB's lookups use indexes.
//
//go:embed lookup.sql
var lookupSQL string

// ferret is FerretDB, a MongoDB server on top of PostgreSQL: the server
// underneath, FerretDB itself, and the gate in front of that.
type ferret struct {
	o        Options
	pg       *Postgres
	gate     *gate
	shutDown func() // ends FerretDB itself; nil unless it runs
}

func (f *ferret) address() string { return f.gate.address }

func (f *ferret) start(ctx context.Context) error {
	if err := f.startPostgres(ctx); err != nil {
		return err
	}
	backend, err := f.startFerret()
	if err != nil {
		return err
	}
	if f.gate == nil {
		f.gate = &gate{open: f.o.ungated}
	}
	return f.gate.listen(backend)
}

func (f *ferret) startPostgres(ctx context.Context) error {
	if f.pg != nil {
		return f.pg.launch(ctx)
	}
	o := f.o
	o.ICULocale = "" // FerretDB wants the C locale
	o.Settings = map[string]string{
		// FerretDB passes the names of fields as parameters. Only a plan made for
		// their values can see that an index fits.
		"plan_cache_mode": "force_custom_plan",
		"jit":             "off",
	}
	maps.Copy(o.Settings, f.o.Settings)
	pg, err := StartPostgres(ctx, o)
	if err != nil {
		return err
	}
	f.pg = pg
	return f.prepare(ctx)
}

// prepare makes the database and what keeps its lookups fast.
func (f *ferret) prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, f.pg.URL(""))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, lookupSQL); err != nil {
		return fmt.Errorf("lookup.sql: %w", err)
	}
	return nil
}

// ferretConns is how many connections FerretDB may hold. Its own 50 can all be
// taken by requests that wait for one more each, and then it answers nobody
// any more; the server underneath allows 300.
const ferretConns = "280"

func (f *ferret) pooledURL() string {
	u, err := url.Parse(f.pg.URL(""))
	if err != nil {
		return f.pg.URL("")
	}
	q := u.Query()
	q.Set("pool_max_conns", ferretConns)
	u.RawQuery = q.Encode()
	return u.String()
}

// startFerret returns the address that FerretDB listens on.
func (f *ferret) startFerret() (string, error) {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:        slog.New(slog.DiscardHandler),
		Handler:       "postgresql",
		PostgreSQLURL: f.pooledURL(),
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Run(ctx) // documented to return nil
	}()
	f.shutDown = func() {
		cancel()
		<-done
	}
	address, err := url.Parse(server.MongoDBURI())
	if err != nil {
		return "", err
	}
	return address.Host, nil
}

// close ends all but the server underneath. The gate goes first: FerretDB waits
// for its clients, and the gate is all of them.
func (f *ferret) close() {
	if f.gate != nil {
		f.gate.close()
	}
	if f.shutDown != nil {
		f.shutDown()
		f.shutDown = nil
	}
}

// freeze halts the server underneath, in the middle of whatever it does. FerretDB
// itself runs in this process, so the gate holds what it would answer alone.
func (f *ferret) freeze() error {
	f.gate.freeze()
	return f.pg.Freeze()
}

func (f *ferret) thaw() error {
	defer f.gate.thaw()
	return f.pg.Thaw()
}

// kill ends the server underneath first, so that nothing can finish neatly.
func (f *ferret) kill() error {
	if f.pg == nil {
		return nil
	}
	err := f.pg.Kill()
	f.close()
	return err
}

func (f *ferret) stop() error {
	f.close()
	if f.pg == nil {
		return nil
	}
	return f.pg.Stop()
}
