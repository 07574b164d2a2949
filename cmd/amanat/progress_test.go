package main

import (
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

func TestProgressWithoutATerminalIsALineNowAndThen(t *testing.T) {
	t.Parallel()
	var out output
	p := (&cli{err: &out}).newProgress("payment")
	kinds := func(done, rows int64) []cutover.KindProgress {
		return []cutover.KindProgress{{Kind: "payment", Chunks: 8, Done: done, Rows: rows}, {Kind: "empty", Chunks: 2, Done: 2}}
	}
	p.show(nil) // nothing is planned yet
	p.show(kinds(0, 0))
	p.begin = time.Now().Add(-10 * time.Second)
	p.show(kinds(2, 2000)) // too early for another line
	p.lastLine = time.Time{}
	p.show(kinds(4, 4000))
	p.end()
	want := "payment: 2 of 10 chunks (20 %), 0 records, 0/s\n" +
		"payment: 6 of 10 chunks (60 %), 4000 records, 400/s, about 10s left\n"
	if got := out.String(); got != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
}

func TestProgressSaysWhyTheBackfillRests(t *testing.T) {
	t.Parallel()
	var out output
	p := (&cli{err: &out}).newProgress("payment")
	kinds := []cutover.KindProgress{{Chunks: 10, Done: 0, Rows: 0}}
	p.rest("resting: mongo takes 310 ms, 5 times the usual")
	p.show(kinds)
	p.rest("")
	p.lastLine = time.Time{}
	p.show(kinds)
	want := "payment: 0 of 10 chunks (0 %), 0 records, 0/s; resting: mongo takes 310 ms, 5 times the usual\n" +
		"payment: 0 of 10 chunks (0 %), 0 records, 0/s\n"
	if got := out.String(); got != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
}

func TestProgressCountsOnlyWhatThisProcessSaw(t *testing.T) {
	t.Parallel()
	var out output
	p := (&cli{err: &out}).newProgress("payment")
	p.show([]cutover.KindProgress{{Chunks: 10, Done: 9, Rows: 9000}}) // an earlier run did these
	p.lastLine = time.Time{}
	p.show([]cutover.KindProgress{{Chunks: 10, Done: 9, Rows: 9000}})
	if got := out.String(); strings.Contains(got, "left") || strings.Count(got, " 0/s") != 2 {
		t.Fatalf("got\n%swant no speed and no time left", got)
	}
}

func TestTheBarTellsNoRateBeforeThereIsOne(t *testing.T) {
	t.Parallel()
	p := &progress{domain: "user", begin: time.Now().Add(-10 * time.Second), atFirst: totals{rows: 30}}
	for rows, want := range map[int64]string{30: "user  30 records", 50: "user  50 records, 2/s"} {
		if got := p.text(totals{rows: rows}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
