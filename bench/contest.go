package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// jwtSecret signs the access tokens that both servers verify.
const jwtSecret = "the secret of the benchmark's access tokens"

// contest is the product and the peer, each a process of its own, on databases
// of one PostgreSQL server with the same data.
type contest struct {
	ours, peer *target
	members    map[string]string // access tokens by id
	sellers    []string          // ids, in the order of the data
	requests   []seeded          // in the order of the data
	open       []seeded          // those that take offers
}

// seeded is a purchase request of the data set.
type seeded struct {
	place     int
	id, buyer string
}

var (
	//go:embed seed.sql
	seedSQL string
	//go:embed seed_ours.sql
	seedOursSQL string
	//go:embed seed_peer.sql
	seedPeerSQL string
	//go:embed peer/schema.sql
	peerSchemaSQL string
)

// contest starts both servers when it is first asked for.
func (e *env) contest(ctx context.Context) (*contest, error) {
	if e.http != nil {
		return e.http, nil
	}
	e.say("seeding two databases with %d members and %d requests", e.size(2000), e.size(20_000))
	ours, err := e.migrated(ctx)
	if err != nil {
		return nil, err
	}
	peer, err := e.database(ctx)
	if err != nil {
		return nil, err
	}
	c := &contest{}
	if err := e.seed(ctx, ours, seedOursSQL); err != nil {
		return nil, err
	}
	if err := e.seed(ctx, peer, peerSchemaSQL+seedPeerSQL); err != nil {
		return nil, err
	}
	if err := c.learn(ctx, peer); err != nil {
		return nil, err
	}
	if c.ours, err = e.startOurs(ctx, ours); err != nil {
		return nil, err
	}
	if c.peer, err = e.startPeer(peer); err != nil {
		return nil, err
	}
	e.http = c
	return c, nil
}

// seed makes the data and has it put where a server has it.
func (e *env) seed(ctx context.Context, url, into string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	data := strings.NewReplacer("$members", strconv.Itoa(e.size(2000)), "$requests", strconv.Itoa(e.size(20_000))).Replace(seedSQL)
	_, err = conn.Exec(ctx, data+into)
	return err
}

// learn reads what requests are made of.
func (c *contest) learn(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := c.learnMembers(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT id, buyer_id, status IN ('pending', 'received_offers') FROM purchase_requests ORDER BY id")
	if err != nil {
		return err
	}
	var s seeded
	var open bool
	_, err = pgx.ForEachRow(rows, []any{&s.id, &s.buyer, &open}, func() error {
		s.place = len(c.requests)
		c.requests = append(c.requests, s)
		if open {
			c.open = append(c.open, s)
		}
		return nil
	})
	return err
}

func (c *contest) learnMembers(ctx context.Context, conn *pgx.Conn) error {
	c.members = map[string]string{}
	rows, err := conn.Query(ctx, "SELECT id, role FROM users ORDER BY id")
	if err != nil {
		return err
	}
	var id, role string
	_, err = pgx.ForEachRow(rows, []any{&id, &role}, func() (err error) {
		if role == "seller" {
			c.sellers = append(c.sellers, id)
		}
		c.members[id], err = accessToken(id, role)
		return err
	})
	return err
}

// accessToken makes one as the product does.
func accessToken(id, role string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, struct {
		Role string `json:"role"`
		jwt.RegisteredClaims
	}{role, jwt.RegisteredClaims{Subject: id, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(24 * time.Hour)), ID: id}}).
		SignedString([]byte(jwtSecret))
}

// startOurs starts a server of the product on PostgreSQL alone.
func (e *env) startOurs(ctx context.Context, url string) (*target, error) {
	d, err := e.deployment(deployment.Options{PGURL: url + separator(url) + "pool_max_conns=" + strconv.Itoa(connections), Ports: []int{0},
		Own: func(int) []string { return []string{"JWT_SECRET=" + jwtSecret} }})
	if err != nil {
		return nil, err
	}
	if err := d.Serve(ctx); err != nil {
		return nil, err
	}
	t := e.target("amanat", strings.TrimPrefix(d.Addresses()[0], "http://"))
	t.pid, t.database = d.PID(0), databaseOf(url)
	return t, nil
}

// target prepares a server to be put under load.
func (e *env) target(name, address string) *target {
	t := newTarget(name, address)
	e.atEnd(t.close)
	return t
}

// startPeer starts the peer, which ends with its standard input, and so with us.
func (e *env) startPeer(url string) (*target, error) {
	cmd := exec.Command(e.options.peer)
	cmd.Env = append(os.Environ(), "PG_URL="+url, "JWT_SECRET="+jwtSecret, "MAX_CONNS="+strconv.Itoa(connections))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e.atEnd(func() error { return errors.Join(input.Close(), cmd.Wait()) })
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the peer does not say where it listens: %w", err)
	}
	t := e.target("peer", strings.TrimSpace(address))
	t.pid, t.database = cmd.Process.Pid, databaseOf(url)
	return t, nil
}

// databaseOf is the database that a URL names.
func databaseOf(url string) string {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return ""
	}
	return config.Database
}

// alike fails unless both servers answer a request with the same JSON. What is
// new at each writing is left out, but has to be there.
func (c *contest) alike(ctx context.Context, q func(*target) request, fresh ...string) error {
	ours, err := c.ours.object(ctx, q(c.ours))
	if err != nil {
		return err
	}
	peer, err := c.peer.object(ctx, q(c.peer))
	if err != nil {
		return err
	}
	for _, name := range fresh {
		for _, o := range []map[string]any{ours, peer} {
			data, _ := o["data"].(map[string]any)
			if text, _ := data[name].(string); text == "" {
				return fmt.Errorf("an answer has no %s: %v", name, o)
			}
			delete(data, name)
		}
	}
	if !reflect.DeepEqual(ours, peer) {
		return fmt.Errorf("the servers answer differently:\namanat %v\npeer   %v", ours, peer)
	}
	return nil
}

// object asks and decodes the answer.
func (t *target) object(ctx context.Context, q request) (o map[string]any, err error) {
	raw, err := t.ask(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("%s: %w: %.200s", t.name, err, raw)
	}
	return o, nil
}
