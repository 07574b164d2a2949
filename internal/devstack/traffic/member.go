package traffic

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// member is somebody who has signed in.
type member struct {
	t     *Traffic
	id    string
	email string

	mu      sync.Mutex // one token change at a time
	access  string
	refresh string
}

// do sends a request as this member. An access token that has run out is
// renewed once; what met somebody else's change at the same moment is tried
// again, since nothing of it was written.
func (m *member) do(ctx context.Context, q call) (answer, error) {
	for try := 1; ; try++ {
		a, err := m.once(ctx, q, try < conflictTries)
		if err != nil || a.status != http.StatusConflict || slices.Contains(q.may, http.StatusConflict) {
			return a, err
		}
		pause(ctx, time.Duration(try)*100*time.Millisecond)
	}
}

// conflictTries is how often a member tries before a conflict is a failure.
const conflictTries = 4

func (m *member) once(ctx context.Context, q call, again bool) (answer, error) {
	q.may = slices.Clone(q.may)
	if again && q.method != http.MethodGet {
		q.may = append(q.may, http.StatusConflict)
	}
	first := q
	first.token = m.token()
	first.may = append(slices.Clone(q.may), http.StatusUnauthorized)
	a, err := m.t.client.send(ctx, first)
	if err != nil || a.status != http.StatusUnauthorized {
		return a, err
	}
	if err := m.renew(ctx, first.token); err != nil {
		return answer{}, err
	}
	q.token = m.token()
	return m.t.client.send(ctx, q)
}

func (m *member) token() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.access
}

// renew rotates the tokens unless somebody else has done so already.
func (m *member) renew(ctx context.Context, stale string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.access != stale {
		return nil
	}
	a, err := m.t.client.send(ctx, call{method: "POST", path: "/api/auth/refresh-token",
		body: map[string]any{"refreshToken": m.refresh}})
	if err != nil {
		return err
	}
	return m.adopt(a)
}

// adopt takes the tokens out of an answer. The caller holds the lock, or is
// alone with m.
func (m *member) adopt(a answer) error {
	m.access = a.data.get("tokens", "accessToken")
	m.refresh = a.data.get("tokens", "refreshToken")
	if m.access == "" || m.refresh == "" {
		return fmt.Errorf("no tokens in the answer for %s", m.email)
	}
	return nil
}

func (m *member) get(ctx context.Context, path string, may ...int) (object, error) {
	a, err := m.do(ctx, call{method: "GET", path: path, may: may})
	return a.data, err
}

// signIn signs a known member in, before Run.
func (t *Traffic) signIn(ctx context.Context, c Credentials) (*member, error) {
	m := &member{t: t, email: c.Email}
	return m, m.login(ctx, c.Password)
}

func (m *member) login(ctx context.Context, password string) error {
	a, err := m.enter(ctx, password)
	if err != nil {
		return err
	}
	m.id = a.data.get("user", "id")
	return m.adopt(a)
}

// loginAgain signs in somebody whom others act for as well.
func (m *member) loginAgain(ctx context.Context, password string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.enter(ctx, password)
	if err != nil {
		return err
	}
	return m.adopt(a)
}

func (m *member) enter(ctx context.Context, password string) (answer, error) {
	return m.t.client.send(ctx, call{method: "POST", path: "/api/auth/login",
		body: map[string]any{"email": m.email, "password": password}})
}

// register makes a new member the way people do: they give their address,
// read the code in their mail, and choose a password.
func (t *Traffic) register(ctx context.Context, first, last, email, role string) (*member, error) {
	_, err := t.client.send(ctx, call{method: "POST", path: "/api/auth/register",
		body: map[string]any{"email": email, "firstName": first, "lastName": last, "role": role}})
	if err != nil {
		return nil, err
	}
	code, err := t.mail.code(ctx, email)
	if err != nil {
		return nil, err
	}
	a, err := t.client.send(ctx, call{method: "POST", path: "/api/auth/verify-email-code",
		body: map[string]any{"email": email, "code": code, "password": passwordOf(email)}})
	if err != nil {
		return nil, err
	}
	m := &member{t: t, email: email, id: a.data.get("user", "id")}
	t.account.acknowledge("user", m.id, fields{
		"email": is(strings.ToLower(email)), "firstName": is(first), "lastName": is(last),
		"role": is(role), "isEmailVerified": is("true")})
	return m, m.adopt(a)
}

// passwordOf returns a new member's password.
func passwordOf(email string) string { return "Demo-1-" + email }
