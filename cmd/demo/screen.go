package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// screen is where the demo talks.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
	begin time.Time

	warnings atomic.Int64
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: f, color: terminal && os.Getenv("NO_COLOR") == "", begin: time.Now()}
}

// paint puts a text into one of the terminal's colours.
func (s *screen) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) heading(format string, args ...any) {
	s.print("\n" + s.paint("1", fmt.Sprintf("── %s  (%.0f s)", fmt.Sprintf(format, args...), time.Since(s.begin).Seconds())))
}

func (s *screen) say(format string, args ...any) { s.print("  " + fmt.Sprintf(format, args...)) }

// maxWarnings is how many warnings are shown: the summary counts all.
const maxWarnings = 20

func (s *screen) warn(format string, args ...any) {
	if s.warnings.Add(1) > maxWarnings {
		return
	}
	s.print(s.paint("33", "  ! "+fmt.Sprintf(format, args...)))
}

func (s *screen) print(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, line)
}

// indented gives a writer for what commands print.
func (s *screen) indented() io.Writer { return &indenter{s: s} }

// indenter sets whole lines in from the margin.
type indenter struct {
	s    *screen
	rest []byte
}

func (i *indenter) Write(p []byte) (int, error) {
	i.rest = append(i.rest, p...)
	for {
		line, rest, found := bytes.Cut(i.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		i.s.print("      " + string(line))
		i.rest = rest
	}
}
