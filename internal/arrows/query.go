package arrows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// CheckQueries finds names of queries that a domain declares and no View uses.
// The gate of a switch asks that shadow reads have seen every query, and would
// wait for such a one for ever.
func CheckQueries(p Package) ([]string, error) {
	if !match("domain/*", p.name()) {
		return nil, nil
	}
	declared, used := map[string]bool{}, map[string]bool{}
	for _, file := range p.GoFiles {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		collectQueries(tree, declared, used)
	}
	var found []string
	for name, query := range declared {
		if query && !used[name] {
			found = append(found, fmt.Sprintf("%s: no View uses %s, so its shadow reads would be waited for in vain", p.name(), name))
		}
	}
	slices.Sort(found)
	return found, nil
}

// collectQueries notes the constants called Query… and those that are an
// argument of any call.
func collectQueries(tree *ast.File, declared, used map[string]bool) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for _, id := range n.Names {
				declared[id.Name] = declared[id.Name] || isQuery(id)
			}
		case *ast.CallExpr:
			for _, arg := range n.Args {
				if id, ok := arg.(*ast.Ident); ok && isQuery(id) {
					used[id.Name] = true
				}
			}
		}
		return true
	})
}

// isQuery goes by the name; "Queries" is the list of them.
func isQuery(id *ast.Ident) bool {
	return strings.HasPrefix(id.Name, "Query") && id.Name != "Query"
}
