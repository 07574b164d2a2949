package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
	"github.com/amanat-dev/amanat/internal/devstack/traffic/seed"
)

// commitSteps are the writes of a commit of several records, in their order.
var commitSteps = []failpoint.Name{failpoint.CommitInsert, failpoint.CommitPrepare, failpoint.CommitMark, failpoint.CommitUnlock, failpoint.CommitForget}

func TestASelectionIsAllOrNothingWhenItsServerDies(t *testing.T) {
	t.Parallel()
	m := openMarket(t, len(commitSteps))
	for i, s := range commitSteps {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			m.selectionWith(t, i, s)
		})
	}
}

// market is a deployment in phase source with one server that lives and some
// that will not, and those who deal there.
type market struct {
	d       *deployment.Deployment
	dir     string
	buyer   string // access tokens
	sellers []string
}

// living is the place of the server that nobody kills.
const living = 0

func openMarket(t *testing.T, mortals int) *market {
	t.Helper()
	binary, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	stack := devstack.Shared(t)
	m := &market{dir: t.TempDir()}
	mongo, database := stack.Mongo.URI(), stack.NewMongoDatabase(t)
	m.d, err = deployment.New(deployment.Options{Binary: binary, Dir: m.dir, Ports: make([]int, 1+mortals),
		MongoURI: mongo, Database: database, PGURL: stack.Postgres.NewDatabase(t),
		Own: func(process int) []string { return []string{m.orders(process).Own()} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Each server but one has died, as it was told to.
		if err := errors.Join(m.d.Revive(context.WithoutCancel(t.Context())), m.d.Stop()); err != nil {
			t.Error(err)
		}
	})
	cast, err := seed.Fill(t.Context(), seed.Options{URI: mongo, Database: database, Users: 30, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.d.Run(t.Context(), logger{t}, "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	if err := m.d.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.buyer = m.signIn(t, cast.Buyers[0])
	for _, c := range cast.Sellers[:3] {
		m.sellers = append(m.sellers, m.signIn(t, c))
	}
	return m
}

func (m *market) orders(process int) deployment.Orders {
	return deployment.Orders(filepath.Join(m.dir, fmt.Sprintf("order%d", process)))
}

func (m *market) signIn(t *testing.T, c traffic.Credentials) (token string) {
	t.Helper()
	var answer struct{ Tokens struct{ AccessToken string } }
	m.must(t, "", "POST", "/api/auth/login", map[string]any{"email": c.Email, "password": c.Password}, &answer)
	return answer.Tokens.AccessToken
}

// must sends a request to the living server, which must carry it out.
func (m *market) must(t *testing.T, token, method, path string, body, data any) {
	t.Helper()
	if status, err := m.ask(living, token, method, path, body, data); err != nil || status >= 300 {
		t.Fatalf("%s %s: %d, %v", method, path, status, err)
	}
}

// ask sends a request to a server, and decodes the data of its answer.
func (m *market) ask(server int, token, method, path string, body, data any) (status int, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, m.d.Addresses()[server]+path, bytes.NewReader(raw))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, errors.New(string(raw))
	}
	return resp.StatusCode, json.Unmarshal(raw, &struct{ Data any }{data})
}

// selectionWith has the server of a selection die at a step.
func (m *market) selectionWith(t *testing.T, victim int, at failpoint.Name) {
	request, offers := m.offered(t)
	victim++ // the first one lives
	if err := m.orders(victim).Give(at, "KILL"); err != nil {
		t.Fatal(err)
	}
	watch := m.watch(t, request)
	path := "/api/marketplace/purchase-requests/" + request + "/select-offer"
	choice := map[string]any{"offerId": offers[0]}
	if status, err := m.ask(victim, m.buyer, "POST", path, choice, nil); err == nil {
		t.Errorf("want no answer from a server that died, got %d", status)
	}
	if pid, err := m.orders(victim).Done(); err != nil || pid == 0 {
		t.Fatalf("the server did not die at %s: %v", at, err)
	}
	first := m.seen(t, request)
	until(t, "a selection that is tried again", func() bool {
		if m.seen(t, request) == all {
			return true
		}
		status, err := m.ask(living, m.buyer, "POST", path, choice, nil)
		if status != http.StatusOK && status != http.StatusConflict && status != http.StatusServiceUnavailable {
			t.Fatalf("tried again: %d, %v", status, err)
		}
		return false
	})
	t.Logf("after the death it was %s, and was read %d times", first, watch())
	if chosen, err := m.chosen(request); err != nil || chosen != offers[0] {
		t.Errorf("want offer %s selected, got %q, %v", offers[0], chosen, err)
	}
}

// chosen returns the offer that a request says is selected.
func (m *market) chosen(request string) (string, error) {
	var r struct{ SelectedOfferID string }
	_, err := m.ask(living, m.buyer, "GET", "/api/marketplace/purchase-requests/"+request, nil, &r)
	return r.SelectedOfferID, err
}

// offered posts a request, and has each seller offer on it.
func (m *market) offered(t *testing.T) (request string, offers []string) {
	t.Helper()
	var made struct{ ID string }
	m.must(t, m.buyer, "POST", "/api/marketplace/purchase-requests", map[string]any{
		"title": "Wanted", "description": "One.", "productType": "physical_product", "quantity": 1, "urgency": "low",
		"budget":       map[string]any{"min": "10", "max": "200", "currency": "USDT"},
		"deliveryInfo": map[string]any{"deliveryType": "physical"},
	}, &made)
	request = made.ID
	for _, seller := range m.sellers {
		m.must(t, seller, "POST", "/api/marketplace/purchase-requests/"+request+"/offers", map[string]any{
			"title": "Offer", "description": "In stock.", "price": map[string]any{"amount": "11.5", "currency": "USDT"},
			"deliveryTime": map[string]any{"amount": 2, "unit": "days"},
		}, &made)
		offers = append(offers, made.ID)
	}
	return request, offers
}

// extent is how much of a selection a reader sees.
type extent string

const (
	nothing extent = "nothing"
	all     extent = "all"
)

// seen reads the offers of a request.
func (m *market) seen(t *testing.T, request string) extent {
	t.Helper()
	e, err := m.read(request)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (m *market) read(request string) (extent, error) {
	var list struct{ Items []struct{ Status string } }
	if _, err := m.ask(living, m.buyer, "GET", "/api/marketplace/purchase-requests/"+request+"/offers", nil, &list); err != nil {
		return "", err
	}
	var statuses []string
	for _, o := range list.Items {
		statuses = append(statuses, o.Status)
	}
	slices.Sort(statuses)
	switch text := strings.Join(statuses, " "); text {
	case "pending pending pending":
		return nothing, nil
	case "accepted rejected rejected":
		return all, nil
	default:
		return extent("a part: " + text), nil
	}
}

// watch reads all the time until the function that it returns is called, which
// says how often: the request, its offers, and the request again. When an offer
// was selected before, the offers show all of the selection, and none of it when
// none was selected after. In between they may show a part: on a server without
// transactions a list is made of committed records, not of one instant.
func (m *market) watch(t *testing.T, request string) func() int {
	t.Helper()
	stop := make(chan struct{})
	times := 0
	var problem error
	var reader sync.WaitGroup
	reader.Go(func() {
		for ; problem == nil; times++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				problem = m.look(request)
			}
		}
	})
	return func() int {
		close(stop)
		reader.Wait()
		if problem != nil {
			t.Error(problem)
		}
		return times
	}
}

func (m *market) look(request string) error {
	before, err := m.chosen(request)
	if err != nil {
		return err
	}
	offers, err := m.read(request)
	if err != nil {
		return err
	}
	after, err := m.chosen(request)
	if err != nil {
		return err
	}
	if before != "" && offers != all || after == "" && offers != nothing {
		return fmt.Errorf("the request had offer %q selected, then its offers showed %s, then it had %q", before, offers, after)
	}
	return nil
}
