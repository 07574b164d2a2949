package model

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

const maxSteps = 1500

// outcome is what one schedule came to.
type outcome struct {
	seed    uint64
	mutant  mutant
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
	planted := ""
	if o.mutant != healthy {
		planted = fmt.Sprintf("MODEL_MUTANT=%q ", o.mutant)
	}
	fmt.Fprintf(&b, "\nseed %d: %s\nreplay it with %sMODEL_SEED=%d go test -v -run TestModel ./cutover/model\n", o.seed, o.problem, planted, o.seed)
	return b.String()
}

// explore runs one schedule.
func explore(t *testing.T, seed uint64, m mutant) (out outcome) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, m)
		out = w.run()
		out.seed, out.mutant = seed, m
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

// shard is a range of seeds that one child process explores.
type shard struct {
	First, Count, Stride uint64
	Mutant               mutant
	Enough               int // stop after so many problems
}

// tally is what a shard, or several together, came to.
type tally struct {
	Schedules, Steps, Acks, Strays int
	Phases                         map[cutover.Phase]int
	Found                          []finding
}

type finding struct {
	Seed    uint64
	Problem string
	History string
}

func (t *tally) add(o tally) {
	t.Schedules += o.Schedules
	t.Steps += o.Steps
	t.Acks += o.Acks
	t.Strays += o.Strays
	t.Found = append(t.Found, o.Found...)
	if t.Phases == nil {
		t.Phases = map[cutover.Phase]int{}
	}
	for p, n := range o.Phases {
		t.Phases[p] += n
	}
}

func (s shard) explore(t *testing.T) (out tally) {
	for i := s.First; i < s.First+s.Count && len(out.Found) < s.Enough; i += s.Stride {
		o := explore(t, i, s.Mutant)
		one := tally{1, o.steps, o.acks, o.strays, map[cutover.Phase]int{o.phase: 1}, nil}
		if o.problem != "" && s.Mutant != healthy {
			if plain := explore(t, i, healthy); plain.problem != "" {
				t.Fatalf("without any mistake planted:\n%s", plain)
			}
		}
		if o.problem != "" {
			one.Found = []finding{{i, o.problem, o.String()}}
		}
		out.add(one)
	}
	return out
}

const (
	shardVar  = "MODEL_SHARD"
	resultVar = "MODEL_RESULT"
)

// TestShard is what a child process runs: see sweep. By itself it explores one
// schedule.
func TestShard(t *testing.T) {
	text := os.Getenv(shardVar)
	if text == "" {
		if o := explore(t, 1, healthy); o.problem != "" {
			t.Errorf("\n%s", o)
		}
		return
	}
	var s shard
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	result, err := json.Marshal(s.explore(t))
	if err == nil {
		err = os.WriteFile(os.Getenv(resultVar), result, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sweep explores count seeds from first in child processes of one thread each:
// that is twice as fast as many threads in one process, and within one thread
// a seed gives the same history each time.
func sweep(t *testing.T, first, count uint64, m mutant, enough, children int) (all tally) {
	t.Helper()
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range uint64(children) {
		wait.Go(func() {
			one, err := child(t, shard{first + i, count - i, uint64(children), m, enough})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("shard %d: %v", i, err)
			}
			all.add(one)
		})
	}
	wait.Wait()
	return all
}

func child(t *testing.T, s shard) (out tally, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return out, err
	}
	result := filepath.Join(t.TempDir(), "result.json")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShard$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400", shardVar+"="+string(text), resultVar+"="+result)
	said, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%w\n%s", err, said)
	}
	text, err = os.ReadFile(result)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(text, &out)
}

// schedules says how many schedules to explore.
func schedules(t *testing.T) uint64 {
	switch {
	case raceEnabled:
		return number(t, "MODEL_RACE_SCHEDULES", 200)
	case testing.Short():
		return number(t, "MODEL_SCHEDULES", 500)
	}
	return number(t, "MODEL_SCHEDULES", 2_000)
}

// TestModel explores MODEL_SCHEDULES schedules from MODEL_FIRST on, or replays
// the one of MODEL_SEED, with MODEL_MUTANT if that is set.
func TestModel(t *testing.T) {
	if os.Getenv("MODEL_SEED") != "" {
		replay(t)
		return
	}
	began := time.Now()
	all := sweep(t, number(t, "MODEL_FIRST", 1), schedules(t), healthy, 1, runtime.NumCPU())
	for _, f := range all.Found {
		t.Errorf("\n%s", f.History)
	}
	t.Logf("%d schedules in %s, %d steps, %d acknowledged writes, %d stray ones, ended in %v",
		all.Schedules, time.Since(began).Round(time.Millisecond), all.Steps, all.Acks, all.Strays, all.Phases)
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// replays is how often a seed is tried: see TestReplay.
const replays = 10

func replay(t *testing.T) {
	runtime.GOMAXPROCS(1)
	var o outcome
	for try := 0; try < replays && o.problem == ""; try++ {
		o = explore(t, number(t, "MODEL_SEED", 0), mutant(os.Getenv("MODEL_MUTANT")))
	}
	t.Logf("\n%s", o)
	if o.problem != "" {
		t.Fail()
	}
}
