package main

import (
	"strings"
	"testing"
)

func TestColumnsStandUnderTheirNamesWhereLastCellsAreEmpty(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := writeTable(&b, []string{"NAME", "B", "WHY NOT"}, [][]string{{"one", "a long cell", ""}, {"two", "", ""}}); err != nil {
		t.Fatal(err)
	}
	want := "NAME  B            WHY NOT\n" +
		"one   a long cell\n" +
		"two\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
