package traffic

import (
	"slices"
	"sync"
	"time"
)

// Counts says what was sent and how it went.
type Counts struct {
	Requests   int64            // answered or failed
	Failed     int64            // no answer, or a 503
	Refused    int64            // a 4xx that such a request may get, such as a conflict
	Unexpected int64            // any other 4xx, or a 5xx that does not say "later": the traffic and the API disagree
	Samples    []string         // of failed and unexpected ones, the first few
	Latency    map[string]int64 // microseconds: "p50", "p99", "max"
}

// OK says that every request was served.
func (c Counts) OK() bool { return c.Requests > 0 && c.Failed == 0 && c.Unexpected == 0 }

// counter collects Counts.
type counter struct {
	mu    sync.Mutex
	c     Counts
	times []int32 // microseconds, the newest maxTimes of them
	at    int
}

const (
	maxTimes   = 1 << 18
	maxSamples = 20
)

func (c *counter) add(took time.Duration, outcome outcome, sample string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.Requests++
	switch outcome {
	case failed:
		c.c.Failed++
	case refused:
		c.c.Refused++
	case unexpected:
		c.c.Unexpected++
	}
	if sample != "" && len(c.c.Samples) < maxSamples {
		c.c.Samples = append(c.c.Samples, sample)
	}
	c.keep(int32(min(took.Microseconds(), 1<<31-1)))
}

func (c *counter) keep(micros int32) {
	if len(c.times) < maxTimes {
		c.times = append(c.times, micros)
		return
	}
	c.times[c.at%maxTimes] = micros
	c.at++
}

func (c *counter) snapshot() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.c
	out.Samples = slices.Clone(c.c.Samples)
	out.Latency = map[string]int64{}
	if len(c.times) == 0 {
		return out
	}
	sorted := slices.Sorted(slices.Values(c.times))
	at := func(share float64) int64 { return int64(sorted[int(share*float64(len(sorted)-1))]) }
	out.Latency = map[string]int64{"p50": at(0.5), "p99": at(0.99), "max": at(1)}
	return out
}
