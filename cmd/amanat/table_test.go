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

func TestATableIsNoWiderThanAScreen(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	evidence := strings.Repeat("evidence of something, ", 12)
	if err := writeTable(&b, []string{"GATE", "PASSED", "EVIDENCE"}, [][]string{{"shadow", "no", evidence}, {"gaps", "yes", "none"}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for _, line := range lines {
		if len(line) > tableWidth {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if words := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(words, strings.TrimSpace(evidence)) || len(lines) < 5 {
		t.Errorf("want all of the evidence, over several lines, got\n%s", &b)
	}
	if last := lines[len(lines)-1]; last != "gaps    yes     none" {
		t.Errorf("want the next row after it, got %q", last)
	}
}
