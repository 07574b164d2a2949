package user_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/mail"
	"github.com/amanat-dev/amanat/internal/storetest"
	"github.com/amanat-dev/amanat/internal/web"
)

func postgresSide(t testing.TB) cutover.Side { return storetest.PostgresSide(t, user.Definition) }
func mongoSide(t testing.TB) cutover.Side    { return storetest.MongoSide(t, user.Definition) }

func TestBothDatabasesPassTheContract(t *testing.T) {
	t.Parallel()
	t.Run("mongo", func(t *testing.T) {
		t.Parallel()
		storetest.Users(t, func(t *testing.T) cutover.Side { return mongoSide(t) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		storetest.Users(t, func(t *testing.T) cutover.Side { return postgresSide(t) })
	})
}

// lasting lets what a test opens live until all have run.
type lasting struct{ testing.TB }

var closers []func()

func (lasting) Cleanup(f func()) { closers = append(closers, f) }

func TestMain(m *testing.M) {
	status := m.Run()
	for _, f := range slices.Backward(closers) {
		f()
	}
	os.Exit(status)
}

// Most tests share a database of each sort: they keep to users of their own.
var (
	opening  sync.Mutex
	inMongo  cutover.Side
	inTables cutover.Side
)

func sharedSpecs(t *testing.T) map[string]cutover.Spec {
	t.Helper()
	opening.Lock()
	defer opening.Unlock()
	if inMongo == nil {
		inMongo, inTables = mongoSide(lasting{t}), postgresSide(lasting{t})
	}
	return map[string]cutover.Spec{"mongo": {Source: inMongo}, "postgres": {Target: inTables}}
}

// inMemory runs a test on a service in memory: what it says of rules holds on
// each database, since these answer alike (internal/storetest).
func inMemory(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	test(t, newBundle(t, cutover.Spec{Source: memdb.New("memory", user.Kinds)}))
}

// onBoth runs a test of what happens at once on a service over each database.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	for name, spec := range sharedSpecs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBundle(t, spec))
		})
	}
}

const (
	password = "correct horse"
	agent    = "browser"
)

// bundle is a service with a clock and a postman of its own.
type bundle struct {
	*user.Service
	db    *cutover.Domain
	clock *clock
	post  *postman
	ties  *dependents
	admin web.Principal
}

func newBundle(t *testing.T, spec cutover.Spec) *bundle {
	t.Helper()
	spec.Definition = user.Definition
	b := &bundle{db: must[*cutover.Domain](t)(cutover.Solo(spec)), clock: &clock{now: cutover.Now()}, post: &postman{}, ties: &dependents{}}
	b.admin = web.Principal{UserID: cutover.NewID(), Role: "admin"}
	b.Service = must[*user.Service](t)(user.New(b.deps()))
	return b
}

func (b *bundle) deps() user.Deps {
	return user.Deps{
		DB: b.db, Mail: b.post, JWTSecret: []byte(strings.Repeat("j", 32)), CodeSecret: []byte(strings.Repeat("c", 32)),
		Cost: user.Cost{MemoryKiB: 64, Iterations: 1, Parallelism: 1}, Dependents: []user.Dependents{b.ties},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: b.clock.time,
	}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// postman keeps letters, or loses them when broken.
type postman struct {
	mu      sync.Mutex
	letters []mail.Message
	broken  error
}

func (p *postman) Send(_ context.Context, m mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.letters = append(p.letters, m)
	}
	return p.broken
}

func (p *postman) to(address string) []mail.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []mail.Message
	for _, m := range p.letters {
		if m.To == address {
			out = append(out, m)
		}
	}
	return out
}

var codeForm = regexp.MustCompile(`\b[0-9]{6}\b`)

// code returns the newest code that was sent to an address.
func (p *postman) code(t *testing.T, address string) string {
	t.Helper()
	letters := p.to(address)
	for i := len(letters) - 1; i >= 0; i-- {
		if code := codeForm.FindString(letters[i].Text); code != "" {
			return code
		}
	}
	t.Fatalf("no code was sent to %s", address)
	return ""
}

// dependents has what is listed, of everybody.
type dependents struct {
	mu    sync.Mutex
	items []user.Dependency
}

func (d *dependents) Dependencies(context.Context, cutover.ID) ([]user.Dependency, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.items, nil
}

func (d *dependents) set(items ...user.Dependency) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.items = items
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("%s: want %q, got %q: %v", what, want, got, err)
	}
}

// as is somebody who calls about what is their own.
func as(id cutover.ID) web.Principal { return web.Principal{UserID: id, Role: web.RoleBuyer} }

func newEmail() string { return cutover.NewID().String() + "@example.org" }

func registration(email string) user.Registration {
	return user.Registration{Email: email, FirstName: "Ann", LastName: "Lee", Role: user.Buyer}
}

// join registers, verifies and signs in somebody new.
func (b *bundle) join(t *testing.T, role user.Role) user.Session {
	t.Helper()
	email := newEmail()
	r := registration(email)
	r.Role = role
	if err := b.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return must[user.Session](t)(b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent))
}

func (b *bundle) stored(t *testing.T, id cutover.ID) user.User {
	t.Helper()
	return must[user.User](t)(b.User(t.Context(), id))
}

// change writes a user past the service.
func (b *bundle) change(t *testing.T, id cutover.ID, how func(*user.User)) {
	t.Helper()
	must[struct{}](t)(cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		u, err := cutover.Get[user.User](ctx, tx, id)
		if err != nil {
			return struct{}{}, err
		}
		how(&u)
		return struct{}{}, tx.Put(ctx, &u)
	}))
}

// together runs do n times at once and returns the errors.
func together(n int, do func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errs
}
