package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportsRunOnlyWhereTheRulesAllow(t *testing.T) {
	t.Parallel()
	for _, violation := range Check(list(t)) {
		t.Error(violation)
	}
}

func TestServicesReachATransactionThroughTheEngineAlone(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		found, err := CheckSource(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, violation := range found {
			t.Error(violation)
		}
	}
}

func TestEveryQueryIsUsedByAView(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		found, err := CheckQueries(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, violation := range found {
			t.Error(violation)
		}
	}
}

func TestAnUnusedQueryIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code := "package x\nconst (QueryA = \"a\"; QueryB = \"b\")\nvar Queries = []string{QueryA, QueryB}\nvar _ = f(QueryA)\nfunc f(string) int { return 0 }\n"
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := CheckQueries(Package{ImportPath: Module + "/domain/x", Dir: dir, GoFiles: []string{"x.go"}})
	if err != nil || len(found) != 1 || !strings.Contains(found[0], "QueryB") {
		t.Errorf("want one finding about QueryB, got %q, %v", found, err)
	}
}

func TestANewArrowIsFound(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		p    Package
		want string
	}{
		{"a domain that imports another", Package{ImportPath: Module + "/domain/payment", Imports: []string{Module + "/domain/user"}},
			"domain/payment imports domain/user: domain/* may import only"},
		{"a domain that imports a store", Package{ImportPath: Module + "/domain/user", Imports: []string{Module + "/cutover/mongodb"}},
			"domain/user imports cutover/mongodb"},
		{"the engine that imports a domain", Package{ImportPath: Module + "/cutover", Imports: []string{Module + "/domain/user"}},
			"cutover imports domain/user"},
		{"a store that imports its sibling", Package{ImportPath: Module + "/cutover/mongodb", Imports: []string{Module + "/cutover/postgresql"}},
			"cutover/mongodb imports cutover/postgresql"},
		{"production that imports internal/devstack", Package{ImportPath: Module + "/cmd/amanat", Imports: []string{Module + "/internal/devstack"}},
			"cmd/amanat imports internal/devstack"},
		{"production that links devstack indirectly", Package{ImportPath: Module + "/cmd/amanat", Deps: []string{Module + "/internal/devstack"}},
			"cmd/amanat links"},
		{"production that links the judge of histories", Package{ImportPath: Module + "/cmd/amanat", Deps: []string{"github.com/anishathalye/porcupine"}},
			"cmd/amanat links"},
		{"a driver outside its store", Package{ImportPath: Module + "/internal/web", Imports: []string{"github.com/jackc/pgx/v5"}},
			"internal/web imports github.com/jackc/pgx/v5: only cutover/postgresql"},
		{"a package without a rule", Package{ImportPath: Module + "/novelty"},
			"novelty: no rule names this package"},
		{"the independent check that uses a store", Package{ImportPath: Module + "/internal/devstack/audit", Imports: []string{Module + "/cutover/mongodb"}},
			"internal/devstack/audit imports cutover/mongodb"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := Check([]Package{c.p})
			if len(found) != 1 || !strings.Contains(found[0], c.want) {
				t.Errorf("want one finding with %q, got %q", c.want, found)
			}
		})
	}
}

func TestAWayAroundTheEngineIsFound(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, code, want string }{
		{"a side taken apart", "service.go", `type S struct { side cutover.Side }`, "cutover.Side leads around"},
		{"a kept transaction", "service.go", `type S struct { tx Tx }`, "a struct keeps a Tx"},
		{"a handler with a query of its own", "http.go", `var _ = cutover.View`, "a handler calls cutover.View"},
		{"a closure that assigns outside", "service.go",
			`func f() { n := 0; cutover.Update(nil, nil, func() error { n++; return nil }) }`, "assigns to n"},
		{"a closure that fills a captured field", "service.go",
			`func f() { var r R; cutover.View[T, R](nil, nil, "q", func() error { r.x[0] = 1; return nil }) }`, "assigns to r"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := checkText(t, c.file, c.code)
			if len(found) != 1 || !strings.Contains(found[0], c.want) {
				t.Errorf("want one finding with %q, got %q", c.want, found)
			}
		})
	}
}

func TestAClosureMayAssignToItsOwn(t *testing.T) {
	t.Parallel()
	found := checkText(t, "service.go", `func f() { cutover.Update(nil, nil, func(p *int) error {
		var a int; b := 1; a, b = b, a; *p = a; for i := range 3 { b += i }; return nil }) }`)
	if len(found) != 0 {
		t.Errorf("want no finding, got %q", found)
	}
}

// checkText runs CheckSource on one file with the given declarations.
func checkText(t *testing.T, file, code string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte("package x\n"+code+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := CheckSource(Package{ImportPath: Module + "/domain/x", Dir: dir, GoFiles: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// list asks the go command for all packages of the module.
func list(t *testing.T) []Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,Deps", Module+"/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []Package
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list gave %d packages of %s", len(all), Module)
	}
	return all
}

// TestNoNameStandsTwice also counts, so that it would be seen if it found none.
func TestNoNameStandsTwice(t *testing.T) {
	t.Parallel()
	got, err := CheckOnce(list(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, twice := range got.Twice {
		t.Error(twice)
	}
	t.Logf("%d events, %d queries and %d routes, each stated once", got.Events, got.Queries, got.Routes)
	if got.Events < 5 || got.Queries < 20 || got.Routes < 40 {
		t.Errorf("found %d events, %d queries and %d routes, want those of all domains", got.Events, got.Queries, got.Routes)
	}
}

func TestANameThatStandsTwiceIsFound(t *testing.T) {
	t.Parallel()
	const declarations = `var routes = web.Group{Root: "/api"}
const QueryOne = "one.get"
var Sent = event.NewType[T]("one.done")
func f() { routes.Get("/ones/{id}", "get-one") }
`
	for name, c := range map[string]struct {
		code string
		want int
	}{
		"nothing":               {"", 0},
		"an event":              {`var x = "one.done"`, 1},
		"a query":               {`const QueryOther = "one.get"`, 2},
		"a route":               {`func g() { routes.Get("/ones/{id}", "again") }`, 1},
		"a route of its own":    {`func g() { routes.Put("/ones/{id}", "other") }`, 0},
		"a path in a text":      {`var x = "ask GET /api/ones/{id} for it"`, 1},
		"a longer path":         {`var x = "/api/ones/{id}/parts"`, 0},
		"a tag":                 {"type T struct { A string `json:\"one.get\"` }", 0},
		"a name within a query": {`var x = "one.gets"`, 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n"+declarations+c.code+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := CheckOnce([]Package{{ImportPath: Module + "/domain/x", Dir: dir, GoFiles: []string{"x.go"}}})
		if err != nil || len(got.Twice) != c.want {
			t.Errorf("%s: want %d findings, got %q, %v", name, c.want, got.Twice, err)
		}
	}
}
