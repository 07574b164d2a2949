package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON instead of a table")
}

func (c *cli) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printTable prints rows in columns under their names. Without rows it prints
// none instead.
func (c *cli) printTable(none string, columns []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(c.out, none)
		return err
	}
	return writeTable(c.out, columns, rows)
}

const (
	// tableWidth is how wide a table is, where its cells allow that.
	tableWidth = 100
	// lastWidth is what the last column gets in any case.
	lastWidth = 30
)

// writeTable keeps each column under its name, also where the last cells of a
// row are empty, and leaves no blanks at the end of a line. A last cell that
// would make the table too wide goes on below.
func writeTable(w io.Writer, columns []string, rows [][]string) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	all := append([][]string{columns}, rows...)
	room := lastRoom(all)
	for _, row := range all {
		last := len(row) - 1
		for i, part := range wrap(row[last], room) {
			cells := make([]string, last)
			if i == 0 {
				copy(cells, row)
			}
			fmt.Fprintln(t, strings.Join(append(cells, part), "\t"))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// lastRoom is the width that is left for the last column.
func lastRoom(rows [][]string) int {
	before := 0
	for i := range len(rows[0]) - 1 {
		width := 0
		for _, row := range rows {
			width = max(width, utf8.RuneCountInString(row[i]))
		}
		before += width + 2
	}
	return max(lastWidth, tableWidth-before)
}

// wrap breaks text between words into lines of a width; a word that is longer is
// left whole.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.SplitSeq(text, " ") {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

func number(n int64) string { return fmt.Sprint(n) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// moment returns a time in UTC to the second; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// milliseconds returns a number of them as a duration.
func milliseconds(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond).String()
}

// oneLine cuts text to fit a table.
func oneLine(s string, limit int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return string(r)
}
