package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with the environment.
type Mistake struct {
	Name    string // the variable
	Problem string // what is wrong; never a secret
	Remedy  string // what to set
}

// Mistakes is all that is wrong with the environment.
type Mistakes []Mistake

// Error returns one line for each mistake.
func (m Mistakes) Error() string {
	var b strings.Builder
	if len(m) == 1 {
		b.WriteString("the environment has a mistake:")
	} else {
		fmt.Fprintf(&b, "the environment has %d mistakes:", len(m))
	}
	for _, one := range m {
		fmt.Fprintf(&b, "\n  %s: %s; %s", one.Name, one.Problem, one.Remedy)
	}
	return b.String()
}

func (m Mistakes) sorted() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// mistakeOf makes a mistake of a field of Config (or of Flags), with the remedy
// that its tags tell.
func mistakeOf(field, problem string) Mistake {
	v, known := named(field)
	if !known {
		return Mistake{field, problem, "please report this"}
	}
	return Mistake{v.Name, problem, fmt.Sprintf("it is %s: set for example %s=%s", v.About, v.Name, v.Example)}
}

func named(field string) (Variable, bool) {
	if f, ok := reflect.TypeFor[Config]().FieldByName(field); ok {
		return variableOf(f, ""), true
	}
	if f, ok := reflect.TypeFor[Flags]().FieldByName(field); ok {
		return variableOf(f, flagPrefix), true
	}
	return Variable{}, false
}
