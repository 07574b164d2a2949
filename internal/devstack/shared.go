package devstack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is ample for a start, and enough for an installation.
const startTimeout = 5 * time.Minute

var shared struct {
	once  sync.Once
	stack *Stack
	err   error
}

// Shared returns the stack that all tests of this process share, and starts it
// when the first one asks. It is the servers that PG_URL and MONGODB_URI name,
// as cmd/with sets them for a whole `go test ./...`, or new ones, which end with
// the process. Without a stack the test fails.
func Shared(t testing.TB) *Stack {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared.stack, shared.err = Start(ctx, Options{Logf: logToStderr})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.stack
}

// logToStderr shows what takes long: t.Log would show it when all is over.
func logToStderr(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "devstack: "+format+"\n", args...)
}

// databases counts the databases that this process has named.
var databases atomic.Int64

// uniqueName names a database that no other process or earlier run has named on
// the same server.
func uniqueName() string {
	return fmt.Sprintf("test_%x_%x_%x", time.Now().UnixNano(), os.Getpid(), databases.Add(1))
}

// NewDatabase makes an empty database for one test and returns its URL. It is
// dropped when the test ends.
func (p *Postgres) NewDatabase(t testing.TB) string {
	t.Helper()
	return p.newDatabase(t, "")
}

func (p *Postgres) newDatabase(t testing.TB, template string) string {
	t.Helper()
	name := uniqueName()
	if err := p.CreateDatabase(context.Background(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return p.URL(name)
}

// NewDatabase makes a database for one test and returns its URL. It is a copy
// of a template that prepare filled, once for all tests, and all test processes
// on one server, that give the same key. The key must therefore tell what
// prepare does: put a hash of the migrations into it. prepare must close its
// connections. The database is dropped when the test ends.
func (s *Stack) NewDatabase(t testing.TB, templateKey string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	template, err := s.Postgres.template(context.Background(), templateKey, prepare)
	if err != nil {
		t.Fatal(err)
	}
	return s.Postgres.newDatabase(t, template)
}

// NewMongoDatabase names a fresh database for one test. Whatever the test puts
// there is dropped when it ends.
func (s *Stack) NewMongoDatabase(t testing.TB) string {
	t.Helper()
	name := uniqueName()
	t.Cleanup(func() {
		if err := s.Mongo.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// template returns the name of the template with a key, and makes it first if
// nobody has. Test processes that want it at the same time take turns. It gets
// its name once it is complete, so a process that dies meanwhile does no harm.
func (p *Postgres) template(ctx context.Context, key string, prepare func(context.Context, string) error) (_ string, err error) {
	sum := sha256.Sum256([]byte(key))
	name := fmt.Sprintf("template_%x", sum[:12])
	conn, err := pgx.Connect(ctx, p.URL(""))
	if err != nil {
		return "", fmt.Errorf("devstack: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // which gives back the lock
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
		return "", fmt.Errorf("devstack: %w", err)
	}
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err == nil && !there {
		err = p.makeTemplate(ctx, name, prepare)
	}
	if err != nil {
		return "", fmt.Errorf("devstack: the template database %q: %w", key, err)
	}
	return name, nil
}

// makeTemplate fills a database under another name, locks it against
// connections, because one that is connected to cannot be copied, and returns it
// its name.
func (p *Postgres) makeTemplate(ctx context.Context, name string, prepare func(context.Context, string) error) error {
	draft := name + "_draft"
	if err := p.DropDatabase(ctx, draft); err != nil {
		return err
	}
	if err := p.CreateDatabase(ctx, draft, ""); err != nil {
		return err
	}
	if err := prepare(ctx, p.URL(draft)); err != nil {
		return errors.Join(err, p.DropDatabase(ctx, draft))
	}
	return p.seal(ctx, draft, name)
}

// seal gives a template its name once its last connection is gone.
func (p *Postgres) seal(ctx context.Context, draft, name string) error {
	from, to := pgx.Identifier{draft}.Sanitize(), pgx.Identifier{name}.Sanitize()
	if err := p.exec(ctx, "ALTER DATABASE "+from+" ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := p.exec(ctx, "ALTER DATABASE "+from+" RENAME TO "+to)
		if !busy(err) || attempt == 100 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
