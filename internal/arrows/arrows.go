// Package arrows holds the directions in which imports run, and checks them:
// which package may import which of this module's, which package may use which
// driver, what the production binary must not link, and that services reach a
// transaction through View and Update alone. Its test is the check.
package arrows

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path that all of this module's packages begin with.
const Module = "github.com/amanat-dev/amanat"

// Package is one package as the go command lists it.
type Package struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// name is the package's path inside the module.
func (p Package) name() string { return inside(p.ImportPath) }

// inside cuts the module's path off an import path; "" for a package of
// another module.
func inside(importPath string) string {
	if name, ok := strings.CutPrefix(importPath, Module+"/"); ok {
		return name
	}
	return ""
}

// Check returns every violation of the rules among the packages, sorted.
func Check(packages []Package) []string {
	var found []string
	for _, p := range packages {
		found = append(found, checkArrows(p)...)
		found = append(found, checkDrivers(p)...)
		found = append(found, checkLinks(p)...)
	}
	slices.Sort(found)
	return found
}

// checkArrows compares a package's imports within the module with its rule.
// Test files are exempt: they may import whatever they need.
func checkArrows(p Package) []string {
	if p.name() == "" {
		return nil
	}
	rule, ok := ruleFor(p.name())
	if !ok {
		return []string{fmt.Sprintf("%s: no rule names this package; give it one in internal/arrows/rules.go", p.name())}
	}
	var found []string
	for _, imported := range p.Imports {
		to := inside(imported)
		if to != "" && !rule.allows(p.name(), to) {
			found = append(found, fmt.Sprintf("%s imports %s: %s", p.name(), to, rule))
		}
	}
	return found
}

// checkDrivers compares a package's imports from other modules with the list
// of those that only some may use.
func checkDrivers(p Package) []string {
	var found []string
	for _, d := range drivers {
		if matchAny(d.users, p.name()) {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, d.module) {
				found = append(found, fmt.Sprintf("%s imports %s: only %s may", p.name(), imported, strings.Join(d.users, ", ")))
			}
		}
	}
	return found
}

// checkLinks looks at all that a program links, however indirectly.
func checkLinks(p Package) []string {
	var found []string
	for _, unwanted := range notLinked[p.name()] {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, unwanted) {
				found = append(found, fmt.Sprintf("%s links %s: the production binary links nothing under %s", p.name(), dep, unwanted))
			}
		}
	}
	return found
}

// match compares a package's name with a pattern: an exact name, one level
// ("domain/*"), or a whole tree ("devstack/...", which includes "devstack").
func match(pattern, name string) bool {
	if root, tree := strings.CutSuffix(pattern, "/..."); tree {
		return name == root || strings.HasPrefix(name, root+"/")
	}
	ok, _ := path.Match(pattern, name) // fails only on a malformed pattern
	return ok
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}
