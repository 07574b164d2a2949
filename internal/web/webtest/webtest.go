// Package webtest proves things about a whole API, whatever routes it has.
package webtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/internal/web"
)

// CheckAccess proves for every route that is not public: without a token, and
// with one that nobody issued, it answers 401; with the token of a role that
// may not call it, 403. tokens maps roles to valid access tokens; give one of
// each role. The result lists the public routes ("POST /api/auth/login"), for
// the caller to compare with those that it means to be public.
func CheckAccess(t *testing.T, h http.Handler, routes []web.Route, tokens map[string]string) (public []string) {
	t.Helper()
	if len(routes) == 0 || len(tokens) == 0 {
		t.Fatal("nothing to check: want routes, and a token of each role")
	}
	for _, r := range routes {
		if r.Who.IsPublic() {
			public = append(public, r.Method+" "+r.Path)
			continue
		}
		wantRefusal(t, h, r, "no token", "", http.StatusUnauthorized)
		wantRefusal(t, h, r, "a made-up token", "made.up.token", http.StatusUnauthorized)
		for role, token := range tokens {
			if !r.Who.Allows(role) {
				wantRefusal(t, h, r, "role "+role, token, http.StatusForbidden)
			}
		}
	}
	return public
}

func wantRefusal(t *testing.T, h http.Handler, r web.Route, who, token string, want int) {
	t.Helper()
	rec := Call(h, r.Method, FillPath(r.Path), token, "{}")
	var body struct {
		Success *bool
		Error   struct{ Code string }
	}
	err := json.Unmarshal(rec.Body.Bytes(), &body)
	if rec.Code != want || err != nil || body.Success == nil || *body.Success || body.Error.Code == "" {
		t.Errorf("%s %s with %s: want %d in the error envelope, got %d: %s", r.Method, r.Path, who, want, rec.Code, rec.Body)
	}
}

var pathParam = regexp.MustCompile(`\{[^}]*\}`)

// FillPath puts an id that no record has into each parameter of a path.
func FillPath(path string) string {
	return pathParam.ReplaceAllString(path, "00000000000000000000beef")
}

// Call makes one request on a handler; token and body may be "".
func Call(h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, path, reader)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}
