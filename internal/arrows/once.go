package arrows

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// clients are packages that call the product from outside, or judge it: they
// say again what they expect.
var clients = []string{"internal/devstack/...", "internal/e2e/...", "internal/storetest", "internal/web/webtest", "bench/...", "cmd/demo/...", "internal/arrows"}

// Stated are the names that other code, records and callers go by.
type Stated struct {
	Events, Queries, Routes int
	Twice                   []string // what stands in more than one place
}

// CheckOnce finds the names of events, the names of queries, and the paths of
// routes in the product's sources, tests left out, and those that stand twice.
func CheckOnce(packages []Package) (Stated, error) {
	var w writing
	for _, p := range packages {
		if p.name() == "" || matchAny(clients, p.name()) {
			continue
		}
		for _, file := range p.GoFiles {
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				return Stated{}, err
			}
			w.read(p, set, tree)
		}
	}
	return w.stated(), nil
}

// writing is all that is written in the product.
type writing struct {
	texts           []text
	events, queries []text
	routes          []declared
	roots           map[string]string // package → root of its routes
}

// text is a string literal.
type text struct{ value, where string }

// declared is a route: its root is known once its package is read.
type declared struct {
	pkg, method string
	path        text
}

func (w *writing) read(p Package, set *token.FileSet, tree *ast.File) {
	here := func(n *ast.BasicLit) text {
		value, _ := strconv.Unquote(n.Value) // the parser has read it
		at := set.Position(n.Pos())
		return text{value, fmt.Sprintf("%s/%s:%d", p.name(), filepath.Base(at.Filename), at.Line)}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil // a tag is no text
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				w.texts = append(w.texts, here(n))
			}
		case *ast.ValueSpec:
			w.readConstants(n, here)
		case *ast.CallExpr:
			w.readCall(p, n, here)
		case *ast.KeyValueExpr:
			w.readRoot(p, n, here)
		}
		return true
	})
}

// readConstants notes the names of queries: constants called Query….
func (w *writing) readConstants(n *ast.ValueSpec, here func(*ast.BasicLit) text) {
	for i, id := range n.Names {
		if i < len(n.Values) && isQuery(id) {
			if l, ok := n.Values[i].(*ast.BasicLit); ok {
				w.queries = append(w.queries, here(l))
			}
		}
	}
}

// methods are those of web.Group.
var methods = []string{"Get", "Post", "Put", "Patch", "Delete"}

// readCall notes what event.NewType and the methods of a web.Group are told.
func (w *writing) readCall(p Package, n *ast.CallExpr, here func(*ast.BasicLit) text) {
	if len(n.Args) == 0 {
		return
	}
	fun := n.Fun
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	of, ok := fun.(*ast.SelectorExpr)
	first, isText := n.Args[0].(*ast.BasicLit)
	if !ok || !isText {
		return
	}
	pkg, _ := of.X.(*ast.Ident)
	switch {
	case pkg == nil:
	case pkg.Name == "event" && of.Sel.Name == "NewType":
		w.events = append(w.events, here(first))
	case pkg.Name == "routes" && slices.Contains(methods, of.Sel.Name):
		w.routes = append(w.routes, declared{p.name(), of.Sel.Name, here(first)})
	}
}

func (w *writing) readRoot(p Package, n *ast.KeyValueExpr, here func(*ast.BasicLit) text) {
	key, _ := n.Key.(*ast.Ident)
	if value, ok := n.Value.(*ast.BasicLit); ok && key != nil && key.Name == "Root" {
		if w.roots == nil {
			w.roots = map[string]string{}
		}
		w.roots[p.name()] = here(value).value
	}
}

func (w *writing) stated() Stated {
	s := Stated{Events: len(w.events), Queries: len(w.queries), Routes: len(w.routes)}
	for _, name := range slices.Concat(w.events, w.queries) {
		s.again(name.value, name.where, w.texts, func(t text) bool { return t.value == name.value })
	}
	first := map[string]string{}
	for _, r := range w.routes {
		path := w.roots[r.pkg] + r.path.value
		whole := r.method + " " + path
		if at, known := first[whole]; known {
			s.Twice = append(s.Twice, fmt.Sprintf("%s: %s stands in %s already", r.path.where, whole, at))
		}
		first[whole] = cmp.Or(first[whole], r.path.where)
		if r.path.value != "" {
			s.again(path, r.path.where, w.texts, func(t text) bool { return namesPath(t.value, path) })
		}
	}
	return s
}

// again notes each other place in which a name stands.
func (s *Stated) again(name, where string, texts []text, stands func(text) bool) {
	for _, t := range texts {
		if t.where != where && stands(t) {
			s.Twice = append(s.Twice, fmt.Sprintf("%s: %s stands in %s already", t.where, name, where))
		}
	}
}

// namesPath says that a text has the path, and not only as a part of another.
func namesPath(text, path string) bool {
	_, after, found := strings.Cut(text, path)
	return found && (after == "" || !strings.ContainsAny(after[:1], "/-{abcdefghijklmnopqrstuvwxyz"))
}
