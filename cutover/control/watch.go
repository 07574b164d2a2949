package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// pollEvery is how late a change is seen when no notification arrives.
	pollEvery = time.Second
	// backOffLimit is the longest pause between two attempts to listen.
	backOffLimit = 5 * time.Second
)

// Watch: see cutover.StateControl. changed runs on the caller's goroutine, one
// call at a time; changes that come meanwhile make one more call.
func (p *Plane) Watch(ctx context.Context, changed func()) {
	bell := make(chan struct{}, 1)
	ring := func() {
		select {
		case bell <- struct{}{}:
		default: // it is ringing already
		}
	}
	go p.listen(ctx, ring)
	go p.poll(ctx, ring)
	for {
		select {
		case <-ctx.Done():
			return
		case <-bell:
			changed()
		}
	}
}

// listen rings for each notification and after each (re)connect.
func (p *Plane) listen(ctx context.Context, ring func()) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		begin := time.Now()
		_ = p.listenOnce(ctx, ring) // why it ended matters to nobody: poll stands in meanwhile
		if time.Since(begin) > backOffLimit {
			pause = 50 * time.Millisecond // it has worked for a while
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, backOffLimit)
	}
}

func (p *Plane) listenOnce(ctx context.Context, ring func()) error {
	held, err := p.hold(ctx)
	if err != nil {
		return err
	}
	conn := held.Hijack() // it is not to come back with its LISTEN
	defer hangUp(conn)
	if err := send(ctx, conn, "LISTEN cutover"); err != nil {
		return err
	}
	ring()
	for {
		heard, err := await(ctx, conn)
		if err != nil {
			return err
		}
		if heard {
			ring()
		}
	}
}

// await waits for a notification, and pings once a second without one, so that
// a connection that died silently is noticed. It ends at once when the server
// closes the connection.
func await(ctx context.Context, conn *pgx.Conn) (heard bool, err error) {
	wait, cancel := context.WithTimeout(ctx, pollEvery)
	_, err = conn.WaitForNotification(wait)
	cancel()
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case conn.IsClosed():
		return false, err
	}
	return false, send(ctx, conn, "-- ping")
}

// pingTime is how long an answer may take: on a busy machine longer than a
// moment, and less than the server bears silence.
const pingTime = silence - 3*time.Second

// send runs a statement that is answered at once or not at all.
func send(ctx context.Context, conn *pgx.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := conn.Exec(ctx, sql)
	return translate(err)
}

// poll rings when what it sees differs from last time, for when a notification
// does not arrive.
func (p *Plane) poll(ctx context.Context, ring func()) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := ""
	for {
		if now, err := p.digest(ctx); err == nil && now != last {
			last = now
			ring()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// digest is another text whenever a state or a setting is another.
func (p *Plane) digest(ctx context.Context) (d string, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, `SELECT coalesce((SELECT string_agg(d::text, ' ' ORDER BY domain) FROM cutover_domains d), '')
			|| coalesce((SELECT string_agg(s::text, ' ' ORDER BY domain) FROM cutover_settings s), '')`).Scan(&d)
	})
	return d, err
}
