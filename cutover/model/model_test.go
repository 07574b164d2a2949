package model

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

const maxSteps = 1500

// outcome is what one schedule came to.
type outcome struct {
	seed    uint64
	problem string
	history []line
	acks    int
	strays  int
	phase   cutover.Phase
	steps   int
}

func (o outcome) String() string {
	var b strings.Builder
	quiet := false
	for _, l := range o.history {
		quiet = quiet || l.op == opQuiet
		if !quiet || l.verdict != done || l.err != nil || !slices.Contains([]string{"beat", "states", "lead", "notes"}, l.op) {
			b.WriteString(l.String())
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "\nseed %d: %s\nreplay it with MODEL_SEED=%d go test -run TestModel ./cutover/model\n", o.seed, o.problem, o.seed)
	return b.String()
}

// explore runs one schedule.
func explore(t *testing.T, seed uint64, m mutant) (out outcome) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, m)
		out = w.run()
		out.seed = seed
	})
	return out
}

// play goes through the schedule, and says what did not hold.
func (w *world) play() string {
	s := w.sched
	for i := range s.plan.servers {
		p := w.start(fmt.Sprintf("s%d", i), i)
		go p.serve()
	}
	go func() {
		w.operate()
		w.mu.Lock()
		w.scripted = true
		w.mu.Unlock()
		s.wake()
	}()
	for {
		s.settle()
		if why := w.check(); why != "" {
			return why
		}
		if s.step >= maxSteps || w.isScripted() {
			return w.comeToRest()
		}
		s.turn(w)
	}
}

func (s *scheduler) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (w *world) isScripted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scripted
}

func (w *world) run() outcome {
	problem := w.play()
	w.clear()
	s := w.sched
	return outcome{problem: problem, history: s.history, acks: w.oracle.acks, strays: w.oracle.strays, phase: w.statePhase(), steps: s.step}
}

// clear ends every process, so that nothing of the schedule is left.
func (w *world) clear() {
	s := w.sched
	s.mu.Lock()
	s.quiet, s.over = true, true
	s.events = nil
	for _, r := range s.pending {
		if r.drop != nil {
			r.drop()
		}
	}
	for _, p := range w.all {
		w.crash(p, 0)
	}
	s.mu.Unlock()
	time.Sleep(time.Minute) // for goroutines that pause
}

func schedules(t *testing.T, otherwise int) int {
	if text := os.Getenv("MODEL_SCHEDULES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return otherwise / 5
	}
	return otherwise
}

// sweep explores n seeds on all processors, until see gives false.
func sweep(t *testing.T, first uint64, n int, m mutant, see func(outcome) bool) {
	var next atomic.Uint64
	var stop atomic.Bool
	var mu sync.Mutex
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for !stop.Load() {
					i := next.Add(1) - 1
					if i >= uint64(n) {
						return
					}
					o := explore(t, first+i, m)
					mu.Lock()
					if !see(o) {
						stop.Store(true)
					}
					mu.Unlock()
				}
			})
		}
	})
}

func TestModel(t *testing.T) {
	if text := os.Getenv("MODEL_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		o := explore(t, seed, mutant(os.Getenv("MODEL_MUTANT")))
		t.Log("\n" + o.String())
		if o.problem != "" {
			t.Fail()
		}
		return
	}
	n := schedules(t, 10_000)
	began := time.Now()
	total, acks, strays, steps := 0, 0, 0, 0
	phases := map[cutover.Phase]int{}
	sweep(t, 1, n, healthy, func(o outcome) bool {
		total++
		acks += o.acks
		strays += o.strays
		steps += o.steps
		phases[o.phase]++
		if o.problem != "" {
			t.Errorf("\n%s", o)
			return false
		}
		return true
	})
	t.Logf("%d schedules in %s, %d steps, %d acknowledged writes, %d stray ones, ended in %v",
		total, time.Since(began).Round(time.Millisecond), steps, acks, strays, phases)
}
