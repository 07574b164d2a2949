package postgresql

import (
	"context"
	"time"
)

// Server is what a PostgreSQL server says of itself.
type Server struct {
	Version string    // such as "15.18"
	Now     time.Time // by its clock
}

// Server asks the server: one round trip.
func (db *DB) Server(ctx context.Context) (s Server, err error) {
	err = db.pool.QueryRow(ctx, "SELECT current_setting('server_version'), clock_timestamp()").Scan(&s.Version, &s.Now)
	return s, translate(err)
}

// HandWrite is a write that somebody declared to be by hand, see the guard in
// migrations/00001_store.sql. Neither the engine nor the other database knows of it.
type HandWrite struct {
	At                         time.Time
	Table, Operation, Who, Why string
}

// HandWrites returns those since a time, the newest first.
func (db *DB) HandWrites(ctx context.Context, since time.Time, limit int) ([]HandWrite, error) {
	return rowsOf(ctx, db, func(w *HandWrite) []any { return []any{&w.At, &w.Table, &w.Operation, &w.Who, &w.Why} },
		`SELECT at, relation, operation, who, why FROM cutover_hand_writes WHERE at >= $1 ORDER BY id DESC LIMIT $2`, since, limit)
}
