package control_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/devstack/link"
)

// distant returns another process's plane on the same database, and the link by
// which it gets there.
func (b bundle) distant(t *testing.T) (*control.Plane, *link.Link) {
	t.Helper()
	u, err := url.Parse(b.url)
	check(t, err)
	l, err := link.To(u.Host)
	check(t, err)
	u.Host = l.Address()
	p, err := control.Connect(t.Context(), u.String())
	check(t, err)
	t.Cleanup(func() {
		l.Close() // first: a silent connection would not be closed in time
		p.Close()
	})
	return p, l
}

func TestARoleIsFreeOnceItsHolderHasFallenSilent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	far, l := b.distant(t)
	ended := make(chan error)
	begun := make(chan struct{})
	go func() {
		_, err := far.Lead(context.Background(), "copier", func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
		ended <- err
	}()
	<-begun
	check(t, l.Silence())
	checkKind(t, <-ended, fault.Unavailable)
	eventually(t, "somebody else leads", func() bool {
		led, err := b.Lead(t.Context(), "copier", func(context.Context) error { return nil })
		check(t, err)
		return led
	})
}

func TestAChunkIsFreeOnceItsWorkerHasFallenSilent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	check(t, b.PlanChunks(t.Context(), "payment", 2, "payment", make([]cutover.Chunk, 1)))
	far, l := b.distant(t)
	ended := make(chan error)
	begun := make(chan struct{})
	go func() {
		_, err := far.WithChunk(context.Background(), "payment", 2, "payment", func(ctx context.Context, _ cutover.Chunk) (int64, int64, error) {
			close(begun)
			<-ctx.Done()
			return 0, 0, ctx.Err()
		})
		ended <- err
	}()
	<-begun
	check(t, l.Silence())
	checkKind(t, <-ended, fault.Unavailable)
	eventually(t, "somebody else has the chunk", func() bool {
		found, err := b.WithChunk(t.Context(), "payment", 2, "payment", func(context.Context, cutover.Chunk) (int64, int64, error) { return 1, 0, nil })
		check(t, err)
		return found
	})
}

func TestTheFenceIsFreeOnceACoordinatorHasFallenSilentInAStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.register(t, cutover.PhaseMirror)
	far, l := b.distant(t)
	write, err := b.pool.Begin(t.Context())
	check(t, err)
	defer write.Rollback(context.WithoutCancel(t.Context()))
	check(t, control.Fence(t.Context(), write, "payment", s.Epoch))
	ended := make(chan error)
	sealed := s
	sealed.Epoch, sealed.Sealed = s.Epoch+1, true
	go func() { ended <- far.Advance(context.Background(), s, sealed, cutover.Change{Action: "seal"}) }()
	eventually(t, "the step waits for the write", func() bool { return b.waits(t) })
	check(t, l.Silence())
	check(t, write.Commit(t.Context()))

	eventually(t, "the fence is free", func() bool { return b.Barrier(t.Context(), "payment") == nil })
	check(t, l.Heal())
	if <-ended == nil {
		t.Error("want the step to fail")
	}
	states, err := b.States(t.Context())
	check(t, err)
	equal(t, "state", states["payment"], s)
}

// waits says that a session waits for an advisory lock.
func (b bundle) waits(t *testing.T) bool {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	check(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[int])
	check(t, err)
	return len(all) > 0
}
