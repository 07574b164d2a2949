package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// plain is a screen that is no terminal, with what it shows and what it logs.
func plain() (s *screen, out, log *strings.Builder) {
	out, log = &strings.Builder{}, &strings.Builder{}
	return &screen{out: out, log: log, width: maxWidth, begin: time.Now(), said: time.Now(), done: make(chan struct{})}, out, log
}

func TestWhatIsWaitedForIsSaidNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out, _ := plain()
		go s.tick()
		s.wait("the gate: 3 of 30")
		time.Sleep(time.Minute)
		s.wait("")
		time.Sleep(time.Minute)
		s.close()
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) < 6 || len(lines) > 8 {
			t.Errorf("want a line every %s of the first minute, and none when nothing is waited for, got %q", newsEvery, lines)
		}
		if !strings.Contains(lines[0], "the gate: 3 of 30") {
			t.Errorf("want what is waited for, got %q", lines[0])
		}
	})
}

func TestALineFitsTheScreenAndTheLogHasAllOfIt(t *testing.T) {
	s, out, log := plain()
	long := strings.Repeat("évidence ", 40)
	s.say("verify", "%s", long)
	if n := utf8.RuneCountInString(strings.TrimRight(out.String(), "\n")); n > maxWidth {
		t.Errorf("%d columns", n)
	}
	if !strings.Contains(log.String(), long) {
		t.Errorf("want all of it in the log, got %q", log)
	}
}

func TestOnlyTheFirstWarningsAreShown(t *testing.T) {
	s, out, log := plain()
	for range 30 {
		s.warn("failed request")
	}
	if shown, logged := strings.Count(out.String(), "failed request"), strings.Count(log.String(), "failed request"); shown != maxWarnings || logged != 30 {
		t.Errorf("want %d shown and 30 in the log, got %d and %d", maxWarnings, shown, logged)
	}
}

// tell plays a move with a step that is undone once.
func tell(s *story) {
	for _, step := range []string{"settings", "verify", "gate", "switch", "verify", "gate", "rollback"} {
		s.Typed("amanat " + step + " user")
		if step == "rollback" {
			s.Undone(step, "the gate holds it")
			s.Typed("amanat " + step + " user")
		}
		s.Said(step, step+" done")
	}
}

func TestTheFirstDomainIsToldWithItsCommandsTheOthersInShort(t *testing.T) {
	for first, want := range map[bool]string{
		true: "$ amanat settings user|settings settings done|$ amanat verify user|verify verify done|$ amanat gate user|gate gate done|" +
			"$ amanat switch user|switch switch done|$ amanat gate user|$ amanat rollback user|rollback rollback done",
		false: "verify verify done|switch switch done|rollback rollback done",
	} {
		s, out, log := plain()
		tell(&story{screen: s, first: first, told: map[string]int{}})
		var got []string
		for line := range strings.Lines(out.String()) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("first %v: want %q, got %q", first, want, text)
		}
		if strings.Count(log.String(), "$ amanat rollback user") != 2 || !strings.Contains(log.String(), "the gate holds it") {
			t.Errorf("want the log to have every command, got %s", log)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	for d, want := range map[time.Duration]string{5 * time.Second: "5 s", 150 * time.Second: "2 min 30 s"} {
		if got := elapsed(d); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}
