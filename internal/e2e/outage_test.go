package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// Each database goes away, killed and frozen, while it is the primary and while
// it is not. The primary away is a 503 for everybody, and nothing more; of the
// other one nobody but the operator notices anything.
func TestDatabasesGoAwayAndComeBack(t *testing.T) {
	t.Parallel()
	o := deployOutage(t)
	for _, domain := range []string{"user", "marketplace"} { // payment stays in phase source
		o.command(t, "cutover", "start", domain, "--execute", "--why", "the test")
		o.command(t, "backfill", domain)
	}
	o.underTraffic(t, func() {
		o.away(t, o.pg, kill, "user", "marketplace")
		o.away(t, o.pg, freeze, "user", "marketplace")
	})
	o.served(t)
	o.primaryAway(t, o.mongo, "mongo", kill)
	o.primaryAway(t, o.mongo, "mongo", freeze)

	o.underTraffic(t, func() {
		o.command(t, "cutover", "start", "payment", "--execute", "--why", "the test")
		o.command(t, "backfill", "payment")
		for _, domain := range deployment.Domains {
			o.switchOver(t, domain)
		}
		o.away(t, o.mongo, kill, deployment.Domains...)
	})
	o.judge(t, false)
	o.command(t, "cutover", "finish", "user", "--execute", "--why", "the test")
	o.underTraffic(t, func() { o.away(t, o.mongo, freeze, "marketplace", "payment") })
	o.served(t)
	o.primaryAway(t, o.pg, "postgres", kill)
	o.primaryAway(t, o.pg, "postgres", freeze)

	o.underTraffic(t, func() { o.awaitDeals(t, 2) })
	o.served(t)
	for _, domain := range []string{"marketplace", "payment"} {
		o.command(t, "cutover", "finish", domain, "--execute", "--why", "the test")
	}
	o.judge(t, true)
}

// outage is a stage whose databases can go away. The third of its servers has no
// members: it is killed and started again.
type outage struct {
	*stage
	pg, mongo database
	admin     string // token
	buyer     string
}

const spare = 2

type database interface {
	Kill() error
	Restart(ctx context.Context) error
	Freeze() error
	Thaw() error
}

// way is how a database goes away and comes back.
type way struct {
	name string
	away func(database) error
	back func(context.Context, database) error
}

var (
	kill = way{"killed", database.Kill, func(ctx context.Context, d database) error { return d.Restart(ctx) }}
	// frozen is a server that keeps its connections and does not answer.
	freeze = way{"frozen", database.Freeze, func(_ context.Context, d database) error { return d.Thaw() }}
)

func deployOutage(t *testing.T) *outage {
	t.Helper()
	pg, err := devstack.StartPostgres(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ends(t, pg.Stop)
	mongo, err := devstack.StartMongo(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ends(t, mongo.Stop)
	o := &outage{stage: &stage{pgURL: pg.URL(""), mongoURI: mongo.URI(), database: "amanat"}, pg: pg, mongo: mongo}
	o.open(t, setting{members: 40, servers: 3})
	o.admin = o.signIn(t, 0, o.cast.Admin)
	o.buyer = o.signIn(t, 0, o.cast.Buyers[len(o.cast.Buyers)-1])
	return o
}

func ends(t *testing.T, stop func() error) {
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// away has a database that is no primary go away under traffic. Requests go on,
// a server is killed and starts meanwhile, nothing is copied; when it is back,
// the journals drain, and the named domains are alike on both sides.
func (o *outage) away(t *testing.T, d database, w way, domains ...string) {
	t.Helper()
	began := time.Now()
	if err := w.away(d); err != nil {
		t.Fatal(err)
	}
	if err := o.d.Kill(o.d.PID(spare)); err != nil {
		t.Fatal(err)
	}
	if err := o.d.Revive(t.Context()); err != nil {
		t.Fatalf("a server did not start while a database that is no primary was %s: %v", w.name, err)
	}
	started := time.Since(began)
	o.awaitRequests(t, 50) // what was under way is over
	copied := o.copies(t)
	o.awaitRequests(t, 100)
	for _, p := range probes {
		o.wantAnswer(t, spare, p)
	}
	if n := o.copies(t); n != copied {
		t.Errorf("%d copies were made to a database that is %s", n-copied, w.name)
	}
	if err := w.back(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if err := o.d.AwaitCaughtUp(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	drained := time.Since(back)
	if n := o.copies(t); n <= copied {
		t.Errorf("nothing was copied after the database came back")
	}
	for _, domain := range domains {
		o.command(t, "verify", domain)
	}
	if c := o.traffic.Counts(); c.Failed > 0 || c.Latency["max"] > silence.Microseconds() {
		t.Errorf("want no request failed or held up, got %d failed, %v: %q", c.Failed, c.Latency, c.Samples)
	}
	t.Logf("%s: a server started within %s, what was written meanwhile was copied %s after it was back", w.name,
		started.Round(time.Millisecond), drained.Round(time.Millisecond))
}

// primaryAway has the primary of all domains go away, and wants both servers to
// say so, to everybody and in time, and to serve again when it is back.
func (o *outage) primaryAway(t *testing.T, d database, name string, w way) {
	t.Helper()
	if err := w.away(d); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var asked sync.WaitGroup
	for server := range 2 {
		for _, p := range probes {
			asked.Go(func() { o.wantUnavailable(t, server, p) })
		}
	}
	asked.Wait()
	t.Logf("%s %s: the last of %d requests was answered after %s", name, w.name, 2*len(probes), time.Since(began).Round(time.Millisecond))
	for server := range 2 {
		until(t, "a health that tells", func() bool {
			a := o.ask(server, probe{path: "/api/health"})
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `"degraded"`) && strings.Contains(a.body, fmt.Sprintf("%q:false", name))
		})
	}
	if err := w.back(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for server := range 3 {
		for _, p := range probes {
			until(t, p.path, func() bool { return o.ask(server, p).served() })
		}
		until(t, "health", func() bool { return o.ask(server, probe{path: "/api/health"}).status == http.StatusOK })
	}
	t.Logf("%s: all was served again %s after it was back", name, time.Since(back).Round(time.Millisecond))
	if err := o.d.Check(); err != nil {
		t.Error(err)
	}
}

// switchTime is when a switch counts as one that cannot be done.
const switchTime = 5 * time.Minute

// switchOver makes PostgreSQL a domain's primary. The server that was killed
// holds the gate for a while, and under load the pause may overrun its budget:
// then it is tried again.
func (o *outage) switchOver(t *testing.T, domain string) {
	t.Helper()
	o.command(t, "verify", domain)
	for began := time.Now(); ; time.Sleep(2 * time.Second) {
		err := o.d.Run(t.Context(), logger{t}, "cutover", "switch", domain, "--execute", "--why", "the test", "--budget", "5s",
			"--waive", "shadow=not of this test", "--waive", "way-back=not of this test")
		if err == nil {
			return
		}
		if time.Since(began) > switchTime {
			t.Fatalf("switch of %s: %v", domain, err)
		}
	}
}

// probe is a request of one domain.
type probe struct {
	path  string
	body  string // of a POST; "" for a GET
	admin bool   // sent by the admin, else by a buyer
}

// probes read and write in each domain.
var probes = []probe{
	{path: "/api/user/profile"},
	{path: "/api/addresses", body: `{"fullName":"P","street":"S","city":"C","country":"DE","postalCode":"10115"}`},
	{path: "/api/marketplace/categories/tree"},
	{path: "/api/marketplace/purchase-requests", body: `{"title":"Wanted: an answer","description":"Made by a test.","productType":"physical_product",
		"quantity":1,"urgency":"low","budget":{"min":"10","max":"20","currency":"USDT"},"deliveryInfo":{"deliveryType":"physical"}}`},
	{path: "/api/payment?limit=5"},
	{path: "/api/payment/trezor/accounts", admin: true, // a conflict, once it is registered
		body: `{"xpub":"xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP"}`},
}

// reply is what a server answered; status 0 when it did not.
type reply struct {
	status     int
	retryAfter string
	body       string
	took       time.Duration
}

func (r reply) served() bool { return r.status/100 == 2 || r.status == http.StatusConflict }

const (
	// silence is how long a server holds a request up for a database that has
	// fallen silent.
	silence = 15 * time.Second
	// refusal is how long a write may be: the time of a request, and then that of
	// its commit. As much again is for the machine.
	refusal = 2 * (silence + silence)
	// askTime is when an answer counts as one that does not come.
	askTime = 2 * refusal
)

func (o *outage) ask(server int, p probe) reply {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	method, token := http.MethodGet, o.buyer
	if p.body != "" {
		method = http.MethodPost
	}
	if p.admin {
		token = o.admin
	}
	req, err := http.NewRequestWithContext(ctx, method, o.d.Addresses()[server]+p.path, bytes.NewReader([]byte(p.body)))
	if err != nil {
		return reply{body: err.Error()}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if p.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{body: err.Error(), took: time.Since(began)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{body: err.Error(), took: time.Since(began)}
	}
	return reply{resp.StatusCode, resp.Header.Get("Retry-After"), string(body), time.Since(began)}
}

func (o *outage) wantAnswer(t *testing.T, server int, p probe) {
	t.Helper()
	if r := o.ask(server, p); !r.served() || r.took > silence {
		t.Errorf("%s: want an answer, got %+v", p.path, r)
	}
}

// driverWords are of the drivers' and the operating system's texts, which no
// member is to see.
var driverWords = []string{"mongo", "postgres", "pgx", "sql", "connect", "dial", "socket", "127.0.0.1", "topology", "context", "deadline", "EOF"}

func (o *outage) wantUnavailable(t *testing.T, server int, p probe) {
	r := o.ask(server, p)
	if r.status != http.StatusServiceUnavailable || r.retryAfter == "" || r.took > refusal {
		t.Errorf("%s: want 503 with Retry-After in time, got %+v", p.path, r)
	}
	for _, word := range driverWords {
		if strings.Contains(strings.ToLower(r.body), strings.ToLower(word)) {
			t.Errorf("%s: the answer shows %q: %s", p.path, word, r.body)
		}
	}
}

// awaitRequests waits until members have sent n more.
func (o *outage) awaitRequests(t *testing.T, n int64) {
	t.Helper()
	want := o.traffic.Counts().Requests + n
	untilFar(t, fmt.Sprintf("%d requests", n), func() (bool, string) {
		sent := o.traffic.Counts().Requests
		return sent >= want, fmt.Sprint(sent)
	})
}

// copies counts what the servers that run have copied since they started.
func (o *outage) copies(t *testing.T) (n int64) {
	t.Helper()
	for server := range 3 {
		var health struct {
			Data struct {
				Operations []struct {
					Op    string
					Count int64
				}
			}
		}
		if err := json.Unmarshal([]byte(o.ask(server, probe{path: "/api/health"}).body), &health); err != nil {
			t.Fatal(err)
		}
		for _, op := range health.Data.Operations {
			if op.Op == "copy" {
				n += op.Count
			}
		}
	}
	return n
}

func (o *outage) signIn(t *testing.T, server int, who traffic.Credentials) (token string) {
	t.Helper()
	r := o.ask(server, probe{path: "/api/auth/login", body: fmt.Sprintf(`{"email":%q,"password":%q}`, who.Email, who.Password)})
	var answer struct {
		Data struct {
			Tokens struct{ AccessToken string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || answer.Data.Tokens.AccessToken == "" {
		t.Fatalf("sign in %s: %+v (%v)", who.Email, r, err)
	}
	return answer.Data.Tokens.AccessToken
}
