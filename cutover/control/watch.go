package control

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	// pingEvery is how often who holds a connection says something on it. One that
	// is cut is noticed, by a ping that is not answered, before the server ends the
	// session: pingEvery + pingTime < silence. It is also how late a change is seen
	// of which no notification arrives.
	pingEvery = 2 * time.Second
	// pingTime is how long an answer may take: on a busy machine longer than a
	// moment.
	pingTime = silence - pingEvery - time.Second
	// backOffLimit is the longest pause between two attempts to listen.
	backOffLimit = 5 * time.Second
)

// The channels of NOTIFY.
const (
	channelChanged = "cutover"
	channelWrote   = "cutover_wrote"
)

// Watch: see cutover.WordControl. changed runs on the caller's goroutine, one
// call at a time; changes that come meanwhile make one more call.
func (p *Plane) Watch(ctx context.Context, changed func(), wrote func(cutover.Written)) {
	bell := make(chan struct{}, 1)
	ring := func() {
		select {
		case bell <- struct{}{}:
		default: // it is ringing already
		}
	}
	go p.listen(ctx, ring, wrote)
	for {
		select {
		case <-ctx.Done():
			return
		case <-bell:
			changed()
		}
	}
}

// Wrote: see cutover.WordControl.
func (p *Plane) Wrote(ctx context.Context, all []cutover.Written) error {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = w.Domain + wordSeparator + w.Kind
	}
	_, err := p.exec(ctx, "SELECT pg_notify($1, word) FROM unnest($2::text[]) AS word", channelWrote, words)
	return err
}

const wordSeparator = "/"

// listen rings for each notification and after each (re)connect.
func (p *Plane) listen(ctx context.Context, ring func(), wrote func(cutover.Written)) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		begin := time.Now()
		_ = p.listenOnce(ctx, ring, wrote) // why it ended matters to nobody
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

func (p *Plane) listenOnce(ctx context.Context, ring func(), wrote func(cutover.Written)) error {
	held, err := p.hold(ctx)
	if err != nil {
		return err
	}
	conn := held.Hijack() // it is not to come back with its LISTEN
	defer hangUp(conn)
	if err := send(ctx, conn, "LISTEN "+channelChanged+"; LISTEN "+channelWrote); err != nil {
		return err
	}
	ring()
	wrote(cutover.Written{})
	last := ""
	look := func(ctx context.Context) error {
		now, err := digest(ctx, conn)
		if err == nil && now != last {
			last = now
			ring()
		}
		return err
	}
	if err := look(ctx); err != nil {
		return err
	}
	return attend(ctx, conn, func(n *pgconn.Notification) {
		if n.Channel == channelChanged {
			ring()
			return
		}
		domain, kind, _ := strings.Cut(n.Payload, wordSeparator)
		wrote(cutover.Written{Domain: domain, Kind: kind})
	}, look)
}

// attend hears notifications and asks something every pingEvery, whatever is
// heard meanwhile: the server counts as silence what the client does not say. It
// returns when an answer does not come, when the connection is closed, which is
// noticed at once, or when ctx ends.
func attend(ctx context.Context, conn *pgx.Conn, heard func(*pgconn.Notification), ask func(context.Context) error) error {
	for {
		for next := time.Now().Add(pingEvery); ; {
			n, err := await(ctx, conn, next)
			if err != nil {
				return err
			}
			if n == nil {
				break
			}
			if heard != nil {
				heard(n)
			}
		}
		if err := ask(ctx); err != nil {
			return err
		}
	}
}

// await waits for a notification; nil when none came in time.
func await(ctx context.Context, conn *pgx.Conn, until time.Time) (*pgconn.Notification, error) {
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	n, err := conn.WaitForNotification(wait)
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case conn.IsClosed():
		return nil, err
	}
	return nil, nil
}

// send runs a statement that is answered at once or not at all.
func send(ctx context.Context, conn *pgx.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := conn.Exec(ctx, sql)
	return translate(err)
}

// digest is another text whenever a state or a setting is another, for when a
// notification does not arrive.
func digest(ctx context.Context, conn *pgx.Conn) (d string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	err = conn.QueryRow(ctx, `SELECT coalesce((SELECT string_agg(d::text, ' ' ORDER BY domain) FROM cutover_domains d), '')
		|| coalesce((SELECT string_agg(s::text, ' ' ORDER BY domain) FROM cutover_settings s), '')`).Scan(&d)
	return d, translate(err)
}
