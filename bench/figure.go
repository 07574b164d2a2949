package main

import (
	"context"
	"fmt"
	"slices"
)

// figure is one line of the benchmark.
type figure struct {
	name string
	what string // one line about it
	unit string // "ratio", "ms" or "requests"
	bar  bar
	// measure repeats the measurement and returns one sample of each. Without
	// an error there is at least one.
	measure func(context.Context, *env) (samples, error)
}

// bar is what a figure is held against.
type bar struct {
	atLeast bool // else at most
	value   float64
}

func atLeast(v float64) bar { return bar{true, v} }
func atMost(v float64) bar  { return bar{false, v} }

func (b bar) String() string {
	if b.atLeast {
		return fmt.Sprintf(">=%g", b.value)
	}
	return fmt.Sprintf("<=%g", b.value)
}

// verdict says whether a value, before it is rounded, meets the bar.
func (b bar) verdict(v float64) string {
	if b.atLeast && v >= b.value || !b.atLeast && v <= b.value {
		return "met"
	}
	return "missed"
}

// samples are what the repetitions of a measurement came to.
type samples []float64

// median is the middle one; of an even number, the lower of the two.
func (s samples) median() float64 { return quantile(s, 0.5) }

// quantile returns the smallest value that at least the share q of all does
// not exceed; 0 of none.
func quantile[T float64 | int64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(q*float64(len(sorted)) + 0.999999) // the rank, from 1
	return sorted[min(max(i, 1), len(sorted))-1]
}

// line prints the figure as the benchmark's output has it: name, median, unit,
// least and most, and what came of the bar.
func (f figure) line(s samples) string {
	return fmt.Sprintf("figure %s %s %s [%s-%s] bar%s:%s", f.name, round(s.median()), f.unit,
		round(slices.Min(s)), round(slices.Max(s)), f.bar, f.bar.verdict(s.median()))
}

// round prints what a reader can use of a value.
func round(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
