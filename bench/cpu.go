package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processor is what a server has had of the processors: itself, and the
// PostgreSQL backends that work for it. Unlike its answers per second, this
// hardly depends on what else the machine does.
type processor struct{ own, postgres float64 } // in microseconds

func (a processor) less(b processor) processor {
	return processor{a.own - b.own, a.postgres - b.postgres}
}

func (a processor) plus(b processor) processor {
	return processor{a.own + b.own, a.postgres + b.postgres}
}

// per says what one of so many answers took.
func (a processor) per(answers int) string {
	n := float64(max(answers, 1))
	return fmt.Sprintf("%.0f + %.0f µs", a.own/n, a.postgres/n)
}

// processor reads what the target has had so far; nothing where the system does
// not tell (/proc is Linux's).
func (t *target) processor() processor {
	var p processor
	own, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", t.pid))
	if err != nil {
		return p
	}
	for _, file := range own {
		p.own += microseconds(file)
	}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return p
	}
	for _, file := range all {
		line, err := os.ReadFile(file)
		if err == nil && bytes.HasPrefix(line, []byte("postgres:")) && bytes.Contains(line, []byte(" "+t.database+" ")) {
			p.postgres += microseconds(filepath.Join(filepath.Dir(file), "schedstat"))
		}
	}
	return p
}

// microseconds is how long a thread has run; 0 of one that is gone.
func microseconds(file string) float64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	ran, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseFloat(ran, 64)
	if err != nil {
		return 0
	}
	return n / 1000
}
