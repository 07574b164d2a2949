package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// amanat and peer are the programs under test, built once.
var amanat, peer string

func TestMain(m *testing.M) {
	if isChild() {
		main() // a figure starts this program once more
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "amanat-bench-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	amanat, peer = filepath.Join(dir, "amanat"), filepath.Join(dir, "peer")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "github.com/amanat-dev/amanat/cmd/amanat", "github.com/amanat-dev/amanat/bench/peer")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// TestEveryFigureIsMeasured: on little data each figure comes out as one line.
// What the values are is not judged: the time is too short, and the machine may
// be busy.
func TestEveryFigureIsMeasured(t *testing.T) {
	var out strings.Builder
	o := options{amanat: amanat, peer: peer, small: true}
	if err := run(t.Context(), o, &out, t.Logf); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(figures) {
		t.Fatalf("%d lines, want one for each of %d figures:\n%s", len(lines), len(figures), out.String())
	}
	for i, f := range figures {
		if !regexp.MustCompile(`^figure ` + f.name + ` [\d.]+ ` + f.unit + ` \[[\d.]+-[\d.]+\] bar[<>]=[\d.]+:(met|missed)$`).MatchString(lines[i]) {
			t.Errorf("the line of %s is %q", f.name, lines[i])
		}
	}
}

func TestAFigureOfAnotherNameIsRefusedBeforeAnythingIsStarted(t *testing.T) {
	t.Parallel()
	err := run(context.Background(), options{figures: []string{"http_get_share", "speed"}}, &strings.Builder{}, t.Logf)
	if err == nil || !strings.Contains(err.Error(), `no figure "speed"`) {
		t.Errorf("%v, want that there is no such figure", err)
	}
}

func TestAFigureIsTheMedianWithItsBar(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]figure{
		"figure a 0.85 ratio [0.80-0.99] bar>=0.85:met":    {name: "a", unit: "ratio", bar: atLeast(0.85)},
		"figure b 0.85 ratio [0.80-0.99] bar>=0.86:missed": {name: "b", unit: "ratio", bar: atLeast(0.86)},
		"figure c 0.85 ratio [0.80-0.99] bar<=0.85:met":    {name: "c", unit: "ratio", bar: atMost(0.85)},
		"figure d 0.85 ratio [0.80-0.99] bar<=0.8:missed":  {name: "d", unit: "ratio", bar: atMost(0.8)},
	} {
		if got := f.line(samples{0.99, 0.8, 0.85}); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
