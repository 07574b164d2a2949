package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/amanat-dev/amanat/cutover"
)

// lineEvery is how often progress is told where no bar can be drawn.
const lineEvery = 5 * time.Second

// progress shows a backfill: a bar on a terminal, else a line now and then.
type progress struct {
	out    io.Writer
	domain string
	bar    *progressbar.ProgressBar // nil: lines

	mu       sync.Mutex
	begin    time.Time
	atFirst  totals // what earlier runs had done already
	started  bool
	lastLine time.Time
	resting  string // why it rests or waits; "" while it copies
}

// totals sums up all kinds.
type totals struct{ chunks, done, rows, gaps int64 }

func sumUp(kinds []cutover.KindProgress) (t totals) {
	for _, k := range kinds {
		t.chunks += k.Chunks
		t.done += k.Done
		t.rows += k.Rows
		t.gaps += k.Gaps
	}
	return t
}

func (c *cli) newProgress(domain string) *progress {
	p := &progress{out: c.err, domain: domain, begin: time.Now()}
	if f, ok := c.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width := progressbar.OptionFullWidth()
		if columns, _, err := term.GetSize(int(f.Fd())); err != nil || columns == 0 {
			width = progressbar.OptionSetWidth(30) // a terminal that does not tell
		}
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(f), width,
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(),
			progressbar.OptionSetItsString("chunks"), progressbar.OptionSetDescription(domain))
	}
	return p
}

// show takes the present progress; the engine calls it about twice a second.
func (p *progress) show(kinds []cutover.KindProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := sumUp(kinds)
	if now.chunks == 0 {
		return
	}
	if !p.started {
		p.started, p.atFirst = true, now
		if p.bar != nil {
			p.bar.Reset() // time left counts from here
		}
	}
	if p.bar != nil {
		p.bar.ChangeMax64(now.chunks)
		p.bar.Describe(p.text(now))
		_ = p.bar.Set64(now.done) // a terminal that cannot be written to is no reason to stop
		return
	}
	if time.Since(p.lastLine) >= lineEvery {
		p.line(now)
	}
}

// rest takes why the backfill rests, to be told with what show shows.
func (p *progress) rest(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting = why
}

// why goes behind the figures.
func (p *progress) why() string {
	if p.resting == "" {
		return ""
	}
	return "; " + p.resting
}

// text stands beside the bar. A backfill that is over at the first look has no
// rate that was seen.
func (p *progress) text(now totals) string {
	if now.rows == p.atFirst.rows {
		return fmt.Sprintf("%s  %d records%s", p.domain, now.rows, p.why())
	}
	return fmt.Sprintf("%s  %d records, %.0f/s%s", p.domain, now.rows, p.rate(now), p.why())
}

// rate is records per second since this process began.
func (p *progress) rate(now totals) float64 {
	return float64(now.rows-p.atFirst.rows) / max(time.Since(p.begin).Seconds(), 0.001)
}

func (p *progress) line(now totals) {
	p.lastLine = time.Now()
	fmt.Fprintf(p.out, "%s: %d of %d chunks (%d %%), %d records, %.0f/s%s%s\n", p.domain, now.done, now.chunks,
		100*now.done/now.chunks, now.rows, p.rate(now), p.left(now), p.why())
}

// left says how long it will take at the present speed.
func (p *progress) left(now totals) string {
	done := now.done - p.atFirst.done
	if done <= 0 || now.done == now.chunks {
		return ""
	}
	each := time.Since(p.begin) / time.Duration(done)
	return fmt.Sprintf(", about %s left", (each * time.Duration(now.chunks-now.done)).Round(time.Second))
}

// end leaves the bar as it is and begins a new line.
func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
}
