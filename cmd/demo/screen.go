package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// maxWidth is how wide a line may be, in columns.
	maxWidth = 100
	// newsEvery is how long nothing may be said while the demo waits.
	newsEvery = 8 * time.Second
	// maxWarnings is how many warnings are shown: the log has all.
	maxWarnings = 5
)

// screen is where the demo talks: on a terminal with a last line that says what
// it waits for, else with such a line now and then. The log has all of it.
type screen struct {
	out      io.Writer
	log      io.Writer
	terminal bool
	color    bool
	width    int
	begin    time.Time
	done     chan struct{}

	mu       sync.Mutex // guards what follows, and keeps lines whole
	waits    string     // what for; "" for nothing
	said     time.Time  // when the last line was printed
	warnings int
}

// newScreen returns the screen on a file, until it is closed.
func newScreen(f *os.File, log io.Writer) *screen {
	s := &screen{out: f, log: log, begin: time.Now(), said: time.Now(), width: maxWidth, done: make(chan struct{})}
	s.terminal = term.IsTerminal(int(f.Fd()))
	s.color = s.terminal && os.Getenv("NO_COLOR") == ""
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 20 {
		s.width = min(maxWidth, columns-1)
	}
	go s.tick()
	return s
}

// tick keeps what is waited for in sight until the screen is closed.
func (s *screen) tick() {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			s.news()
		}
	}
}

func (s *screen) news() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits == "" {
		return
	}
	line := s.fit(fmt.Sprintf("  … %s  %s", elapsed(time.Since(s.begin)), s.waits))
	switch {
	case s.terminal:
		fmt.Fprint(s.out, "\r\x1b[K"+s.paint(dim, line))
	case time.Since(s.said) >= newsEvery:
		fmt.Fprintln(s.out, line)
		s.said = time.Now()
	}
}

// close ends the line about what is waited for.
func (s *screen) close() {
	close(s.done)
	s.wait("")
}

// wait says what is waited for from here on; "" for nothing.
func (s *screen) wait(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = what
	if what == "" && s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}

// The terminal's colours.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) heading(format string, args ...any) {
	s.print("", "")
	s.print(bold, "── %s  (%s)", fmt.Sprintf(format, args...), elapsed(time.Since(s.begin)))
}

// typed shows a command.
func (s *screen) typed(command string) { s.print(dim, "  $ %s", command) }

// say prints what came of something.
func (s *screen) say(what, format string, args ...any) {
	s.print("", "  %-10s %s", what, fmt.Sprintf(format, args...))
}

func (s *screen) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	s.warnings++
	shown := s.warnings <= maxWarnings
	s.mu.Unlock()
	if shown {
		s.print(yellow, "  ! %s", text)
		return
	}
	s.note("  ! " + text)
}

// print prints one line, and repeats it in the log, where it may be longer.
func (s *screen) print(code, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(s.log, line)
	if s.terminal && s.waits != "" {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	line = s.fit(line)
	if code != "" {
		line = s.paint(code, line)
	}
	fmt.Fprintln(s.out, line)
	s.said = time.Now()
}

// note has a line in the log alone.
func (s *screen) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.log, line)
}

// fit cuts a line to the width.
func (s *screen) fit(line string) string {
	r := []rune(strings.Join(strings.Split(line, "\n"), " "))
	if len(r) > s.width {
		return string(r[:s.width-1]) + "…"
	}
	return string(r)
}

func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

// count writes a number with its thousands apart.
func count[N int | int64](n N) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
