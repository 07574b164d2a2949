package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// killer is a database server that can be away.
type killer interface {
	Kill() error
	Restart(ctx context.Context) error
	Freeze() error
	Thaw() error
}

// away are the ways in which a database server can be away: it refuses
// connections, or is silent. Each gives how it is back.
var away = map[string]func(killer) (goAway func() error, comeBack func(*testing.T) error){
	"killed": func(s killer) (func() error, func(*testing.T) error) {
		return s.Kill, func(t *testing.T) error { return s.Restart(t.Context()) }
	},
	"silent": func(s killer) (func() error, func(*testing.T) error) {
		return s.Freeze, func(*testing.T) error { return s.Thaw() }
	},
}

func TestServeStartsWhileMongoIsAwayAndNoPrimary(t *testing.T) {
	t.Parallel()
	for name, way := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mongo, err := devstack.StartMongo(t.Context(), devstack.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer mongo.Stop()
			d := onPostgres(t)
			d.environ = append(d.environ, "LOG_LEVEL=info", "MONGODB_URI="+mongo.URI(), "DB_NAME=amanat")
			for domain, phase := range map[string]cutover.Phase{"user": cutover.PhaseMirror, "marketplace": cutover.PhaseTarget, "payment": cutover.PhaseMirror} {
				if _, err := d.plane(t).Register(t.Context(), domain, phase); err != nil {
					t.Fatal(err)
				}
			}
			goAway, comeBack := way(mongo)
			if err := goAway(); err != nil {
				t.Fatal(err)
			}
			s := d.serve(t)
			began := time.Now()
			status, body := s.get(t, "/api/health")
			if status != http.StatusOK || !strings.Contains(body, `"mongo":false`) || !strings.Contains(body, `"postgres":true`) {
				t.Errorf("health %d: %s", status, body)
			}
			d.join(t, s, "a@example.org")
			s.wantSignIn(t, "a@example.org")
			if took := time.Since(began); took > silence {
				t.Errorf("a member waited for what is not the primary: %s", took)
			}
			if err := comeBack(t); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "its indexes", func() bool { return strings.Contains(s.stderr.String(), "indexes are seen to\"") })
			d.wantDrained(t, "user")
			d.must(t, "verify user", ", 0 differences")
		})
	}
}

// silence is how long a request waits for a database that has fallen silent.
const silence = 15 * time.Second

func TestServeStartsWhileThePostgresThatIsNoPrimaryIsAway(t *testing.T) {
	t.Parallel()
	for name, way := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg, err := devstack.StartPostgres(t.Context(), devstack.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer pg.Stop()
			if err := migrate(t.Context(), pg.URL("")); err != nil {
				t.Fatal(err)
			}
			d := on(t, pg.URL(""))
			stack := devstack.Shared(t)
			d.environ = append(d.environ, "MONGODB_URI="+stack.Mongo.URI(), "DB_NAME="+stack.NewMongoDatabase(t))
			one := d.serve(t) // which leaves a copy of the domains' states in MongoDB
			goAway, comeBack := way(pg)
			if err := goAway(); err != nil {
				t.Fatal(err)
			}
			two := d.serve(t)
			for i, s := range []server{one, two} {
				began := time.Now()
				email := []string{"a@example.org", "b@example.org"}[i]
				d.join(t, s, email)
				s.wantSignIn(t, email)
				if took := time.Since(began); took > silence {
					t.Errorf("a member waited for what is not the primary: %s", took)
				}
				waitFor(t, "a health that tells", func() bool {
					status, body := s.get(t, "/api/health")
					return status == http.StatusOK && strings.Contains(body, `"postgres":false`)
				})
			}
			if err := comeBack(t); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "both processes in the control plane", func() bool {
				ps, err := d.plane(t).Processes(t.Context())
				alive := 0
				for _, p := range ps {
					if p.Alive {
						alive++
					}
				}
				return err == nil && alive == 2
			})
			d.must(t, "cutover start user --execute", "source → dual done")
		})
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	if err := await.Until(t.Context(), what, 50*time.Millisecond, func() (bool, string, error) { return is(), "", nil }); err != nil {
		t.Fatal(err)
	}
}

// wantDrained waits until a domain's journal is empty.
func (d deployment) wantDrained(t *testing.T, domain string) {
	t.Helper()
	waitFor(t, "an empty journal", func() bool {
		status, out, _ := d.run(t, "cutover", "status", domain, "--json")
		return status == exitOK && strings.Contains(out, `"notes": 0`) && !strings.Contains(out, `"problem"`)
	})
}

func TestServeStartsWithADomainShutThatHasMovedToThePostgresThatIsAway(t *testing.T) {
	t.Parallel()
	pg, err := devstack.StartPostgres(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	if err := migrate(t.Context(), pg.URL("")); err != nil {
		t.Fatal(err)
	}
	d := on(t, pg.URL(""))
	stack := devstack.Shared(t)
	d.environ = append(d.environ, "MONGODB_URI="+stack.Mongo.URI(), "DB_NAME="+stack.NewMongoDatabase(t))
	d.serve(t)
	d.must(t, "cutover start marketplace --execute")
	d.must(t, "backfill marketplace")
	d.must(t, "verify marketplace")
	d.must(t, "cutover switch marketplace --execute --budget 5s --waive shadow=tested --waive way-back=tested", "mirror done")
	if err := pg.Kill(); err != nil {
		t.Fatal(err)
	}
	d.environ = append(d.environ, "REPO_MARKETPLACE=pg", "REPO_USER=mongo")
	s := d.serve(t)
	d.join(t, s, "a@example.org")
	if status, body := s.get(t, "/api/marketplace/categories"); status != http.StatusServiceUnavailable || !strings.Contains(body, "not open yet") {
		t.Errorf("a domain that had moved: %d %s", status, body)
	}
	if err := pg.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the domain that had moved", func() bool {
		status, _ := s.get(t, "/api/marketplace/categories")
		return status == http.StatusOK
	})
}
