package arrows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
)

// CheckSource reads the sources of a domain package for ways around the
// engine, and returns what it finds. A service gets a transaction as the
// parameter of a closure that it hands to View or Update, and in no other way.
func CheckSource(p Package) ([]string, error) {
	if !match("domain/*", p.name()) {
		return nil, nil
	}
	var found []string
	for _, file := range p.GoFiles {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s := source{set: set, tree: tree, file: p.name() + "/" + file, handlers: file == "http.go"}
		found = append(found, s.check()...)
	}
	return found, nil
}

// source is one file under examination.
type source struct {
	set      *token.FileSet
	tree     *ast.File
	file     string
	handlers bool // the file of the domain's HTTP handlers
	found    []string
}

// behindTheEngine are the names of package cutover that lead to a database
// without View or Update.
var behindTheEngine = []string{"Side", "Store", "Guard", "Batch", "NewBatch", "Item", "Note", "Control", "Recoverer", "SpreadJournal", "StateMirror", "SharedMirror", "Solo"}

func (s *source) check() []string {
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			s.checkName(n)
		case *ast.StructType:
			s.checkFields(n)
		case *ast.CallExpr:
			s.checkCall(n)
		}
		return true
	})
	return s.found
}

func (s *source) report(at token.Pos, format string, args ...any) {
	where := fmt.Sprintf("%s:%d: ", s.file, s.set.Position(at).Line)
	s.found = append(s.found, where+fmt.Sprintf(format, args...))
}

// checkName finds what a domain must not even mention.
func (s *source) checkName(n *ast.SelectorExpr) {
	pkg, ok := n.X.(*ast.Ident)
	if !ok || pkg.Name != "cutover" {
		return
	}
	if slices.Contains(behindTheEngine, n.Sel.Name) {
		s.report(n.Pos(), "cutover.%s leads around View and Update", n.Sel.Name)
	}
	if s.handlers && (n.Sel.Name == "View" || n.Sel.Name == "Update") {
		s.report(n.Pos(), "a handler calls cutover.%s: rules and authorisation are the service's", n.Sel.Name)
	}
}

// checkFields finds a transaction that is kept past its closure.
func (s *source) checkFields(n *ast.StructType) {
	for _, f := range n.Fields.List {
		if name, ok := f.Type.(*ast.Ident); ok && name.Name == "Tx" {
			s.report(f.Pos(), "a struct keeps a Tx: it is only good inside the closure that was given it")
		}
	}
}

// checkCall looks into the closures of View and Update. They may run more than
// once, so they must leave nothing behind but their result.
func (s *source) checkCall(n *ast.CallExpr) {
	name := engineCall(n)
	if name == "" || len(n.Args) == 0 {
		return
	}
	closure, ok := n.Args[len(n.Args)-1].(*ast.FuncLit)
	if !ok {
		return
	}
	own := declaredIn(closure)
	for _, written := range assignedIn(closure) {
		if !own[written.Name] {
			s.report(written.Pos(), "the closure of %s assigns to %s, which is declared outside it: closures may run more than once", name, written.Name)
		}
	}
}

// engineCall returns "View" or "Update" for a call of the engine, else "".
func engineCall(n *ast.CallExpr) string {
	fun := n.Fun
	switch generic := fun.(type) { // with type arguments spelled out
	case *ast.IndexExpr:
		fun = generic.X
	case *ast.IndexListExpr:
		fun = generic.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "cutover" {
		return ""
	}
	if sel.Sel.Name == "View" || sel.Sel.Name == "Update" {
		return sel.Sel.Name
	}
	return ""
}

// declaredIn collects the names that are declared anywhere inside a closure,
// parameters included.
func declaredIn(closure *ast.FuncLit) map[string]bool {
	own := map[string]bool{"_": true}
	add := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			own[id.Name] = true
		}
	}
	ast.Inspect(closure, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(n.Key)
				add(n.Value)
			}
		case *ast.Field:
			for _, id := range n.Names {
				add(id)
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				add(id)
			}
		}
		return true
	})
	return own
}

// assignedIn collects the variables that a closure assigns to: the x of x = …,
// x.f = …, x[i] += … and x++.
func assignedIn(closure *ast.FuncLit) []*ast.Ident {
	var written []*ast.Ident
	add := func(e ast.Expr) {
		if id := root(e); id != nil {
			written = append(written, id)
		}
	}
	ast.Inspect(closure, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.IncDecStmt:
			add(n.X)
		}
		return true
	})
	return written
}

// root returns the variable at the bottom of an expression such as x.f[i].
func root(e ast.Expr) *ast.Ident {
	for {
		switch t := e.(type) {
		case *ast.Ident:
			return t
		case *ast.SelectorExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.StarExpr:
			e = t.X
		case *ast.ParenExpr:
			e = t.X
		default:
			return nil
		}
	}
}
