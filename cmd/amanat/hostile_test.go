package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// stranger calls every route of a deployment with values that nobody means
// well with.
type stranger struct {
	server
	doc    document
	tokens map[string]string // by role
	ids    map[string]string // by what comes before {id} in a path
}

// document is what is needed of /api/openapi.json.
type document struct {
	Paths      map[string]map[string]described
	Components struct{ Schemas map[string]*schema }
}

type described struct {
	Who         string `json:"x-who"`
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct{ Schema *schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any    // a name, or a list of them
	Format     string
	Enum       []any
	Examples   []any
	AnyOf      []*schema
	Properties map[string]*schema
	Items      *schema
}

// operation is a route with a role that may call it.
type operation struct {
	method, path, role string
	op                 described
}

func (o operation) name() string { return o.method + " " + o.path }

func openTo(t *testing.T, d deployment) *stranger {
	t.Helper()
	s := &stranger{server: d.serve(t), tokens: map[string]string{}, ids: map[string]string{}}
	_, doc := s.get(t, "/api/openapi.json")
	if err := json.Unmarshal([]byte(doc), &s.doc); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"admin", "buyer", "seller", "resolver"} {
		s.tokens[role] = d.member(t, s.server, role)
	}
	s.furnish(t)
	return s
}

// member makes an account with a password and signs it in.
func (d deployment) member(t *testing.T, s server, role string) (token string) {
	t.Helper()
	_, out, stderr := d.run(t, "user", "create", role+"@example.org", "--role", role)
	_, password, ok := strings.Cut(strings.TrimSpace(out), "shown this once: ")
	if !ok {
		t.Fatalf("no account: %s%s", out, stderr)
	}
	code, answer := s.send(t, "POST", "/api/auth/login", "", fmt.Sprintf(`{"email":"%s@example.org","password":%q}`, role, password))
	if code != http.StatusOK {
		t.Fatalf("sign in: %d %s", code, answer)
	}
	var session struct {
		Data struct{ Tokens struct{ AccessToken string } }
	}
	if err := json.Unmarshal([]byte(answer), &session); err != nil {
		t.Fatal(err)
	}
	return session.Data.Tokens.AccessToken
}

func (s server) send(t *testing.T, method, path, token, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, string(b)
}

// furnish makes a record of each sort, so that calls get past "not found".
func (s *stranger) furnish(t *testing.T) {
	t.Helper()
	create := func(role, path, body string) string {
		t.Helper()
		code, answer := s.send(t, "POST", path, s.tokens[role], body)
		var made struct{ Data struct{ ID string } }
		if err := json.Unmarshal([]byte(answer), &made); err != nil || code != http.StatusCreated {
			t.Fatalf("POST %s: %d %s", path, code, answer)
		}
		return made.Data.ID
	}
	s.ids["categories"] = create("admin", "/api/marketplace/categories", `{"name":"A","nameEn":"A"}`)
	s.ids["purchase-requests"] = create("buyer", "/api/marketplace/purchase-requests",
		`{"title":"T","description":"D","categoryId":"`+s.ids["categories"]+`","productType":"service","quantity":1,"budget":{"min":"1","max":"2","currency":"USD"},"urgency":"low"}`)
	s.ids["offers"] = create("seller", "/api/marketplace/purchase-requests/"+s.ids["purchase-requests"]+"/offers",
		`{"title":"T","description":"D","price":{"amount":"1","currency":"USD"},"deliveryTime":{"amount":1,"unit":"days"}}`)
}

// operations are all routes, each with a role that may call it.
func (s *stranger) operations(t *testing.T) (out []operation) {
	t.Helper()
	for path, item := range s.doc.Paths {
		for method, op := range item {
			o := operation{strings.ToUpper(method), path, "buyer", op}
			for _, role := range []string{"resolver", "admin", "seller", "buyer"} {
				if strings.Contains(op.Who, role) {
					o.role = role
				}
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.name(), b.name()) })
	if len(out) < 40 {
		t.Fatalf("%d routes, want those of all domains", len(out))
	}
	return out
}

var pathID = regexp.MustCompile(`([^/]+)/\{[^}]*\}`)

// fill puts the id of a record of that sort into a path, or one that nothing has.
func (s *stranger) fill(path string) string {
	return pathID.ReplaceAllStringFunc(path, func(part string) string {
		sort, _, _ := strings.Cut(part, "/")
		if id := s.ids[sort]; id != "" {
			return sort + "/" + id
		}
		return sort + "/" + cutover.NewID().String()
	})
}

// body is a body that the route takes, as far as its schema says; nil when it
// takes none.
func (s *stranger) body(o operation) any {
	if wanted := o.op.RequestBody.Content["application/json"].Schema; wanted != nil {
		return s.sample(wanted)
	}
	return nil
}

func (s *stranger) sample(of *schema) any {
	if name, ref := strings.CutPrefix(of.Ref, "#/components/schemas/"); ref {
		return s.sample(s.doc.Components.Schemas[name])
	}
	switch {
	case len(of.AnyOf) > 0:
		return "1"
	case len(of.Enum) > 0:
		return of.Enum[0]
	case len(of.Examples) > 0:
		return of.Examples[0]
	case of.Format == "date-time":
		return "2030-01-01T00:00:00Z"
	}
	switch kind := fmt.Sprint(of.Type); {
	case strings.Contains(kind, "object"):
		object := map[string]any{}
		for name, property := range of.Properties {
			object[name] = s.sample(property)
		}
		return object
	case strings.Contains(kind, "array"):
		return []any{s.sample(of.Items)}
	case strings.Contains(kind, "integer"), strings.Contains(kind, "number"):
		return 1
	case strings.Contains(kind, "boolean"):
		return true
	}
	return "a text"
}

// leaf is a value in a body: where it is, and how to set it.
type leaf struct {
	path string
	set  func(any)
	was  any
}

func leaves(path string, v any, set func(any)) []leaf {
	out := []leaf{{path, set, v}}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, leaves(strings.TrimPrefix(path+"."+name, "."), v[name], func(to any) { v[name] = to })...)
		}
	case []any:
		for i := range v {
			out = append(out, leaves(fmt.Sprintf("%s[%d]", path, i), v[i], func(to any) { v[i] = to })...)
		}
	}
	return out
}

func isLeaf(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// placeholder is replaced in the encoded body by what no encoder would write.
const placeholder = "@@@"

// unreadable are JSON values that no text of ours may be.
var unreadable = []string{`"a\u0000b"`, "\"a\xffb\"", `"\ud800"`}

// TestNoRouteTakesTextThatCannotBeStored: in each field of each body NUL, text
// that is not UTF-8 and a name that is given twice are refused with 400 that
// names the field, and nothing is written.
func TestNoRouteTakesTextThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]deployment{"postgres": onPostgres(t), "mongo": both(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTo(t, d)
			before := contents(t, d.pgURL)
			calls := 0
			for _, o := range s.operations(t) {
				calls += s.wantUnreadableRefused(t, o)
			}
			if calls < 200 {
				t.Errorf("%d calls, want those about each field of each body", calls)
			}
			if after := contents(t, d.pgURL); after != before {
				t.Errorf("something was written:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func (s *stranger) wantUnreadableRefused(t *testing.T, o operation) (calls int) {
	t.Helper()
	body := s.body(o)
	root := body
	for _, l := range leaves("", body, func(v any) { root = v }) {
		if l.path == "" || !isLeaf(l.was) {
			continue
		}
		l.set(placeholder)
		for _, bad := range unreadable {
			s.wantRefused(t, o, l.path, encoded(t, root, bad))
			calls++
		}
		l.set(l.was)
		if twice, ok := memberTwice(encoded(t, root, ""), l.path); ok {
			s.wantRefused(t, o, l.path, twice)
			calls++
		}
	}
	return calls
}

// memberTwice returns a body with one of its own members once more.
func memberTwice(body, path string) (string, bool) {
	if strings.ContainsAny(path, ".[") {
		return "", false
	}
	return body[:len(body)-1] + fmt.Sprintf(",%q:null}", path), true
}

func encoded(t *testing.T, v any, instead string) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"`+placeholder+`"`, instead)
}

func (s *stranger) wantRefused(t *testing.T, o operation, field, body string) {
	t.Helper()
	code, answer := s.send(t, o.method, s.fill(o.path), s.tokens[o.role], body)
	var a struct {
		Error struct{ Fields map[string]string }
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil || code != http.StatusBadRequest || a.Error.Fields[field] == "" {
		t.Errorf("%s with %q: %d %s, want 400 that names %s", o.name(), body, code, answer, field)
	}
}

// contents tells of every change in the domains' tables.
func contents(t *testing.T, url string) string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	rows, err := db.Query(t.Context(), `
		SELECT table_name, (xpath('/row/h/text()', query_to_xml(format(
			'SELECT count(*) || '':'' || coalesce(md5(string_agg(t::text, '','' ORDER BY t::text)), '''') AS h FROM %I.%I t', table_schema, table_name), false, true, '')))[1]::text
		FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'rev' ORDER BY table_name`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var name, hash string
		err := row.Scan(&name, &hash)
		return name + " " + hash, err
	})
	if err != nil || len(tables) < 10 {
		t.Fatalf("%d tables: %v", len(tables), err)
	}
	return strings.Join(tables, "\n")
}

// hostile are values that some reader or database takes badly.
var hostile = []string{
	`null`, `""`, `[]`, `{}`, `true`, `-1`, `0`, `1.5`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `1e999`, `-0.0`,
	`99999999999999999999999999999999999999`, `"' OR 1=1 --"`, `"{\"$gt\":\"\"}"`, `{"$gt":""}`, `"\u202e\u2028\ufeff\uffff"`,
	`"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`, `"0001-01-01T00:00:00Z"`, `"-infinity"`, `"NaN"`,
	`"000000000000000000000000"`, `"99999999999999999999999999999999999999"`, `"-1"`, `"0"`, `"\u0001\u001b[31m"`,
}

// driverText is what an answer never holds. Codes of ours are in capitals, so
// that none is taken for it.
var driverText = regexp.MustCompile(`SQLSTATE|pgx|ERROR:|E11000|bson|server selection|goroutine|panic|\.go:|relation "|syntax error`)

// TestNoValueMakesARouteFail: whatever is in a body, a path or the query, no
// answer is a failure of the server, and none repeats what a driver said.
func TestNoValueMakesARouteFail(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]deployment{"postgres": onPostgres(t), "mongo": both(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTo(t, d)
			for _, o := range s.operations(t) {
				s.harassBody(t, o)
				s.harassParameters(t, o)
			}
		})
	}
}

func (s *stranger) harassBody(t *testing.T, o operation) {
	t.Helper()
	body := s.body(o)
	root := body
	for _, l := range leaves("", body, func(v any) { root = v }) {
		l.set(placeholder)
		for _, value := range hostile {
			s.wantNoFailure(t, o, s.fill(o.path), encoded(t, root, value))
		}
		l.set(l.was)
	}
	for _, raw := range []string{"", "\x00", "\xff\xfe", "[[[[", strings.Repeat("[", 20_000), `{"a":` + strings.Repeat("9", 100_000) + `}`} {
		s.wantNoFailure(t, o, s.fill(o.path), raw)
	}
}

func (s *stranger) harassParameters(t *testing.T, o operation) {
	t.Helper()
	values := []string{"%00", "%ff", "%C3", "%27%20OR%201=1%20--", "-1", "99999999999999999999", "%F0%9F%98%80", "a%2Fb"}
	for _, value := range values {
		for _, p := range o.op.Parameters {
			switch p.In {
			case "path":
				s.wantNoFailure(t, o, strings.ReplaceAll(s.fill(o.path), cutID(s.fill(o.path)), value), "{}")
			case "query":
				s.wantNoFailure(t, o, s.fill(o.path)+"?"+p.Name+"="+value, "{}")
			}
		}
		s.wantNoFailure(t, o, s.fill(o.path)+"?"+value+"="+value, "{}")
	}
}

var hexID = regexp.MustCompile(`[0-9a-f]{24}`)

func cutID(path string) string { return hexID.FindString(path) }

func (s *stranger) wantNoFailure(t *testing.T, o operation, path, body string) {
	t.Helper()
	code, answer := s.send(t, o.method, path, s.tokens[o.role], body)
	if code >= 500 || driverText.MatchString(answer) {
		t.Errorf("%s %s with %.200q: %d %s\nstderr: %s", o.method, path, body, code, answer, lastLines(s.stderr.String()))
	}
}

func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], "\n")
}

// TestTheScannerIsRefusedWithoutAWord: nobody who has not signed is told what
// is wrong with a callback.
func TestTheScannerIsRefusedWithoutAWord(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]deployment{"postgres": onPostgres(t), "mongo": both(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := d.serve(t)
			for _, body := range []string{
				`{"paymentReference":"\u0000"}`, "{\"paymentReference\":\"\xff\"}", `{"paymentReference":"a","paymentReference":"\u0000b"}`,
				`{"paymentReference":{"$gt":""}}`, "", "\x00", "{", `{"paymentReference":"` + strings.Repeat("x", 10_000) + `"}`,
			} {
				for _, signature := range []string{"", "00", "\xff\xfe", strings.Repeat("0", 64)} {
					code, answer := s.callback(t, body, signature)
					if code/100 != 4 || code == http.StatusNotFound || strings.Contains(answer, "paymentReference") || driverText.MatchString(answer) {
						t.Errorf("%q signed %q: %d %s, want a refusal that tells nothing", body, signature, code, answer)
					}
				}
			}
		})
	}
}

func (s server) callback(t *testing.T, body, signature string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/payment/amn-scanner/webhook", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-AMN-Signature", signature)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestNoTokenMakesASignInFail: tokens and what a browser says of itself are
// texts of strangers as well.
func TestNoTokenMakesASignInFail(t *testing.T) {
	t.Parallel()
	s := onPostgres(t).serve(t)
	for _, token := range []string{"\xff", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("x", 20_000), "Bearer Bearer"} {
		if code, answer := s.send(t, "GET", "/api/user/profile", token, ""); code != http.StatusUnauthorized {
			t.Errorf("token %.40q: %d %s, want 401", token, code, answer)
		}
	}
}
